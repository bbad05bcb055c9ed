//go:build race

package transport

// raceDetector tells that the race detector makes everything slow.
const raceDetector = true
