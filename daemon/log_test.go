package daemon

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// padding makes a line about as long as one of the gateway's.
var padding = strings.Repeat("x", 180)

// writeLines writes n lines from each of several goroutines at once.
func writeLines(t *testing.T, dir string, megabytes, writers, n int) {
	t.Helper()
	log := openLog(dir, megabytes)
	var wg sync.WaitGroup
	for writer := range writers {
		wg.Go(func() {
			for i := range n {
				if _, err := fmt.Fprintf(log, "writer=%d line=%d %s\n", writer, i, padding); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}

// checkLines reads lines and fails unless each writer's are there once and in
// order.
func checkLines(t *testing.T, text *bufio.Scanner, next []int) {
	t.Helper()
	for text.Scan() {
		var writer, line int
		var rest string
		if _, err := fmt.Sscanf(text.Text(), "writer=%d line=%d %s", &writer, &line, &rest); err != nil || rest != padding {
			t.Fatalf("a broken line: %.60q (%v)", text.Text(), err)
		}
		if next[writer] != line {
			t.Fatalf("writer %d: line %d where %d should be", writer, line, next[writer])
		}
		next[writer]++
	}
	if err := text.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestNoLineIsLostWhileTheLogIsRotatedUnderLoad(t *testing.T) {
	const writers, n = 8, 28_000 // 45 MB: four rotations at 10 MB
	dir := t.TempDir()
	writeLines(t, dir, LogMegabytes, writers, n)
	files, err := filepath.Glob(filepath.Join(dir, "daemon*.log"))
	if err != nil || len(files) != 5 {
		t.Fatalf("%d files: %v (%v)", len(files), files, err)
	}
	// The rotated ones have their time in the name; the present one is the last.
	slices.SortFunc(files, func(a, b string) int {
		switch current := LogFile(dir); current {
		case a:
			return 1
		case b:
			return -1
		}
		return strings.Compare(a, b)
	})
	next := make([]int, writers)
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > LogMegabytes<<20 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has %d bytes and mode %v", name, info.Size(), info.Mode())
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		checkLines(t, bufio.NewScanner(f), next)
		f.Close()
	}
	for writer, got := range next {
		if got != n {
			t.Errorf("of writer %d there are %d lines, want %d", writer, got, n)
		}
	}
}

func TestNoMoreThanFiveRotatedLogsAreKept(t *testing.T) {
	dir := t.TempDir()
	writeLines(t, dir, 1, 4, 10_000) // 8 MB at 1 MB
	deadline := time.Now().Add(20 * time.Second)
	for {
		files, err := filepath.Glob(filepath.Join(dir, "daemon*.log"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == LogsKept+1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d files are kept: %v", len(files), files)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestAFollowerSeesEveryLineOverARotation(t *testing.T) {
	dir := t.TempDir()
	log := openLog(dir, 1)
	defer log.Close()
	if _, err := fmt.Fprintf(log, "writer=0 line=0 %s\n", padding); err != nil {
		t.Fatal(err)
	}
	var seen syncBuffer
	ctx, cancel := context.WithCancel(t.Context())
	followed := make(chan error, 1)
	go func() { followed <- Tail(ctx, &seen, LogFile(dir), 10, true) }()
	seesLine := func(i int) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !strings.Contains(seen.String(), fmt.Sprintf("line=%d ", i)); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("line %d was not seen", i)
			}
		}
	}
	seesLine(0)
	const n = 8000 // 1.6 MB: one rotation
	for i := 1; i < n; i++ {
		if _, err := fmt.Fprintf(log, "writer=0 line=%d %s\n", i, padding); err != nil {
			t.Fatal(err)
		}
	}
	seesLine(n - 1)
	cancel()
	if err := <-followed; err != nil {
		t.Error(err)
	}
	next := make([]int, 1)
	checkLines(t, bufio.NewScanner(strings.NewReader(seen.String())), next)
	if next[0] != n {
		t.Errorf("%d lines were seen, want %d", next[0], n)
	}
}

func TestTheLastLinesOfALog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	long := strings.Repeat("y", tailChunk+10)
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"", 3, ""},
		{"a\nb\nc\n", 2, "b\nc\n"},
		{"a\nb\nc", 2, "b\nc"},
		{"a\nb\n", 5, "a\nb\n"},
		{"a\nb\n", 0, ""},
		{"\n\n\n", 2, "\n\n"},
		{"a\n" + long + "\n", 1, long + "\n"},
		{long + "\n" + long + "\nz\n", 2, long + "\nz\n"},
		{strings.Repeat("b", tailChunk-1) + "\n" + strings.Repeat("c", tailChunk-1) + "\n", 1, strings.Repeat("c", tailChunk-1) + "\n"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := Tail(t.Context(), &b, path, c.n, false); err != nil || b.String() != c.want {
			t.Errorf("the last %d of %.20q: %.20q (%d bytes), %v", c.n, c.text, b.String(), b.Len(), err)
		}
	}
}

// syncBuffer is a buffer that is read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
