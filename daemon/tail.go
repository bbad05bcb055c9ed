package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// tailChunk is how much is read at once from a log's end, in bytes.
const tailChunk = 64 << 10

// followInterval is how often a followed log is looked at.
const followInterval = 200 * time.Millisecond

// Tail writes the last n lines of a log to w, and where follow is set goes on
// with what is added, over rotations, until ctx ends; that is no error.
func Tail(ctx context.Context, w io.Writer, path string, n int, follow bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { f.Close() }()
	if err := seekLines(f, n); err != nil {
		return err
	}
	for {
		if _, err := io.Copy(w, f); err != nil {
			return err
		}
		if !follow || pause(ctx, followInterval) != nil {
			return nil
		}
		next, err := rotated(f, path)
		if err != nil {
			return err
		}
		if next == nil {
			continue
		}
		// What was written between the last reading and the rotation.
		_, err = io.Copy(w, f)
		f.Close()
		f = next
		if err != nil {
			return err
		}
	}
}

// rotated opens the file that has taken f's place, if one has.
func rotated(f *os.File, path string) (*os.File, error) {
	now, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // between the two
	}
	if err != nil {
		return nil, err
	}
	was, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if os.SameFile(was, now) {
		return nil, nil
	}
	next, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return next, err
}

// seekLines puts f before its last n lines.
func seekLines(f *os.File, n int) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil || n <= 0 {
		return err
	}
	buf := make([]byte, tailChunk)
	for at, left := end, n; at > 0; {
		size := min(at, tailChunk)
		at -= size
		if _, err := f.ReadAt(buf[:size], at); err != nil {
			return err
		}
		part := buf[:size]
		if at+size == end && part[size-1] == '\n' {
			part = part[:size-1] // the last line's own end
		}
		for {
			i := bytes.LastIndexByte(part, '\n')
			if i < 0 {
				break
			}
			if left--; left == 0 {
				_, err := f.Seek(at+int64(i)+1, io.SeekStart)
				return err
			}
			part = part[:i]
		}
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}

// lastLines are the last n lines of a small file, without their ends.
func lastLines(path string, n int) ([]string, error) {
	var b bytes.Buffer
	if err := Tail(context.Background(), &b, path, n, false); err != nil {
		return nil, err
	}
	var lines []string
	for line := range bytes.Lines(b.Bytes()) {
		lines = append(lines, string(trimNewline(line)))
	}
	return lines, nil
}
