package daemon

import (
	"encoding/json"
	"io"
)

// Report is what a process that was started in the background tells the one that
// started it, as one line of JSON on its standard output.
type Report struct {
	// Error is why it cannot run; "" means that it serves.
	Error string `json:"error,omitempty"`
	// Address is the base URL it serves.
	Address string `json:"address,omitempty"`
	// Lines are for the person who started it and no log.
	Lines []string `json:"lines,omitempty"`
}

// maxReport bounds a report, in bytes.
const maxReport = 1 << 20

// Send writes the report. It is the last thing to be written there: nobody
// listens any longer.
func (r Report) Send(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

func readReport(r io.Reader) (report Report, err error) {
	err = json.NewDecoder(io.LimitReader(r, maxReport)).Decode(&report)
	return report, err
}
