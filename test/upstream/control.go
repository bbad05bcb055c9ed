package upstream

import "net/http"

// control adds what a test in another language may ask, beside the API itself:
//
//	GET /control/requests?model=M   the requests for M so far, oldest first
//	GET /control/arrival?model=M    the same, once there is one
//	GET /control/hangup?model=M     the same, once the newest one's client hung up
//
// The latter two answer 504 where that does not come true within Patience.
func (s *Server) control(mux *http.ServeMux) {
	mux.HandleFunc("GET /control/requests", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, s.Requests(r.FormValue("model")))
	})
	for path, what := range map[string]struct {
		ok   func([]Request) bool
		fail string
	}{
		"arrival": {arrived, "nobody asked for the model"},
		"hangup":  {hungUp, "the client did not hang up"},
	} {
		mux.HandleFunc("GET /control/"+path, func(w http.ResponseWriter, r *http.Request) {
			list, met := s.await(r.FormValue("model"), what.ok)
			if !met {
				writeError(w, http.StatusGatewayTimeout, "timeout", "", what.fail)
				return
			}
			writeJSON(w, http.StatusOK, list)
		})
	}
}
