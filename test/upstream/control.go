package upstream

import "net/http"

// control adds what a test in another language may ask, beside the API itself:
//
//	GET /control/requests?model=M   the requests for M so far, oldest first
//	GET /control/hangup?model=M     the same, once the newest one's client hung up
//
// The second answers 504 where that does not come true within Patience.
func (s *Server) control(mux *http.ServeMux) {
	mux.HandleFunc("GET /control/requests", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, s.Requests(r.FormValue("model")))
	})
	mux.HandleFunc("GET /control/hangup", func(w http.ResponseWriter, r *http.Request) {
		list, met := s.await(r.FormValue("model"), hungUp)
		if !met {
			writeError(w, http.StatusGatewayTimeout, "timeout", "", "the client did not hang up")
			return
		}
		writeJSON(w, http.StatusOK, list)
	})
}
