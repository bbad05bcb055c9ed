//go:build !unix

package auth

import (
	"io/fs"
	"os"
)

// openToOthers cannot be told from mode bits here; the file lies in the user's
// own directory and inherits its access list.
func openToOthers(fs.FileInfo) bool { return false }

func inheritOwner(*os.File, string) error { return nil }

func syncDir(string) error { return nil }
