package config

import (
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
)

// duration is a Go duration string, or whole seconds.
func duration(lowest, highest time.Duration) codec[time.Duration] {
	want := `a duration such as "30s" or "1m30s", or whole seconds, from ` + formatDuration(lowest) + " to " + formatDuration(highest)
	return scalar(want, func(n *node) (time.Duration, bool) {
		d, ok := n.duration()
		return d, ok && d >= lowest && d <= highest
	}, func(d time.Duration) string { return quote(formatDuration(d)) },
		func(d time.Duration) any { return formatDuration(d) })
}

// seconds is a duration written as a whole number.
func seconds(lowest, highest int) codec[time.Duration] {
	whole := integer(lowest, highest)
	return codec[time.Duration]{
		want: whole.want,
		decode: func(n *node, from source) (time.Duration, []problem) {
			v, problems := whole.decode(n, from)
			return time.Duration(v) * time.Second, problems
		},
		encode: func(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) },
		plain:  func(d time.Duration) any { return int(d / time.Second) },
	}
}

func (n *node) duration() (time.Duration, bool) {
	if v, ok := n.integer(); ok {
		return time.Duration(v) * time.Second, v >= 0 && v <= math.MaxInt64/int64(time.Second)
	}
	if !n.isText() {
		return 0, false
	}
	d, err := time.ParseDuration(n.text)
	return d, err == nil
}

// formatDuration is Duration.String without its trailing zero units.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// The units of a size; the binary ones are what formatSize writes.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1},
}

// size is a number of bytes, alone or with a unit.
func size(lowest, highest int64) codec[int64] {
	want := `a number of bytes, or a size such as "10MiB", from ` + formatSize(lowest) + " to " + formatSize(highest)
	return scalar(want, func(n *node) (int64, bool) {
		v, ok := n.size()
		return v, ok && v >= lowest && v <= highest
	}, func(v int64) string { return quote(formatSize(v)) }, same[int64])
}

// byteCount is a size that is written as a plain number of bytes.
func byteCount(lowest, highest int64) codec[int64] {
	c := size(lowest, highest)
	c.encode = func(v int64) string { return strconv.FormatInt(v, 10) }
	return c
}

func (n *node) size() (int64, bool) {
	if v, ok := n.integer(); ok || !n.isText() {
		return v, ok
	}
	for _, unit := range sizeUnits {
		number, ok := cutSuffixFold(n.text, unit.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseInt(strings.TrimRight(number, " "), 10, 64)
		return v * unit.bytes, err == nil && v >= 0 && v <= math.MaxInt64/unit.bytes
	}
	return 0, false
}

func cutSuffixFold(s, suffix string) (string, bool) {
	cut := len(s) - len(suffix)
	if cut < 0 || !strings.EqualFold(s[cut:], suffix) {
		return s, false
	}
	return s[:cut], true
}

// formatSize uses the largest binary unit that divides v.
func formatSize(v int64) string {
	for _, unit := range sizeUnits[:4] {
		if v >= unit.bytes && v%unit.bytes == 0 {
			return strconv.FormatInt(v/unit.bytes, 10) + unit.name
		}
	}
	return strconv.FormatInt(v, 10) + "B"
}

// level is a slog level by its name in lower case.
func level() codec[slog.Level] {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	name := func(l slog.Level) string { return strings.ToLower(l.String()) }
	names := oneOf([]string{"debug", "info", "warn", "error"})
	return codec[slog.Level]{
		want: names.want,
		decode: func(n *node, from source) (slog.Level, []problem) {
			s, problems := names.decode(n, from)
			return levels[s], problems
		},
		encode: func(l slog.Level) string { return quote(name(l)) },
		plain:  func(l slog.Level) any { return name(l) },
	}
}
