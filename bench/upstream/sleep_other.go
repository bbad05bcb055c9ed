//go:build !linux

package upstream

import "time"

func sleepUntil(t time.Time) { time.Sleep(time.Until(t)) }
