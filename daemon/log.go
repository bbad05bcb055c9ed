package daemon

import (
	"io"
	"path/filepath"

	"github.com/DeRuina/timberjack"
)

const (
	logName = "daemon.log"
	// LogMegabytes is the size past which the log is rotated; LogsKept is how many
	// rotated files are kept beside it.
	LogMegabytes = 10
	LogsKept     = 5
)

// LogFile is the path of a data directory's log.
func LogFile(dir string) string { return filepath.Join(dir, logName) }

// OpenLog opens a data directory's log for appending. It is rotated while it is
// written: each write goes whole into one file, in order, and none is lost. It is
// safe for use by many goroutines; Close ends its goroutine.
func OpenLog(dir string) io.WriteCloser {
	return openLog(dir, LogMegabytes)
}

func openLog(dir string, megabytes int) io.WriteCloser {
	return &timberjack.Logger{
		Filename:    LogFile(dir),
		MaxSize:     megabytes,
		MaxBackups:  LogsKept,
		Compression: "none", // the kept ones are 50 MB at most, and can be read with any tool
		LocalTime:   true,
		FileMode:    0o600,
	}
}
