package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// FileName is the name of the configuration file where its place is not
	// told.
	FileName = "agentzero.toml"

	// maxFileBytes bounds the file.
	maxFileBytes = 1 << 20
)

// namedFile is a file that must be there, and what named it.
type namedFile struct {
	path  string // absolute; "" where none is named
	named place
}

// findFile looks for the file in the order of Options.File. It returns its
// absolute path, or "" if there is none.
func (l *loader) findFile() string {
	if file := l.namedFile(); file.path != "" {
		switch info, err := os.Stat(file.path); {
		case errors.Is(err, fs.ErrNotExist):
			l.fail(file.named, "", "the configuration file "+file.path+" does not exist")
		case err != nil:
			l.fail(file.named, "", "cannot read the configuration file "+file.path+": "+cause(err).Error())
		case info.IsDir():
			l.fail(file.named, "", "the configuration file "+file.path+" is a directory")
		default:
			return file.path
		}
		l.unread = true
		return ""
	}
	for _, dir := range []string{".", l.earlyDataDir()} {
		if dir == "" {
			continue
		}
		path, err := filepath.Abs(filepath.Join(dir, FileName))
		if err != nil {
			continue
		}
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path
		}
	}
	return ""
}

// namedFile is the file that a flag or the environment names.
func (l *loader) namedFile() namedFile {
	named, at := l.options.File, place{Origin: Origin{Kind: FromFlag, Name: "--config"}}
	if named == "" {
		named, at = l.environ[fileVariable], place{Origin: Origin{Kind: FromEnv, Name: fileVariable}}
	}
	if named == "" {
		return namedFile{}
	}
	path, err := filepath.Abs(source{environ: l.environ, dir: "."}.path(named))
	if err != nil {
		l.fail(at, "", "cannot make the path absolute: "+err.Error())
	}
	return namedFile{path: path, named: at}
}

// earlyDataDir is the data directory as far as it is known before the file is
// read, "" where it is not.
func (l *loader) earlyDataDir() string {
	from := source{environ: l.environ, dir: "."}
	for _, dir := range []string{l.options.DataDir, l.environ[dataDirVariable]} {
		if dir != "" {
			return from.path(dir)
		}
	}
	if from.home() == "" {
		return ""
	}
	return from.path(l.config.DataDir)
}

// InitPath tells where a new configuration file belongs: where o names one, else
// in the data directory, which is returned too in that case (and else ""). It
// reads no file and makes nothing.
func InitPath(o Options) (path, dataDir string, err error) {
	l := newLoader(o)
	if file := l.namedFile(); file.path != "" || len(l.faults) > 0 {
		return file.path, "", report(l.faults)
	}
	dir := l.earlyDataDir()
	if dir == "" {
		l.fail(place{}, "data_dir", "no home directory is known: set --data-dir or AGENTZERO_DATA_DIR")
		return "", "", report(l.faults)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		l.fail(place{}, "data_dir", "cannot make the path absolute: "+err.Error())
		return "", "", report(l.faults)
	}
	return filepath.Join(dir, FileName), dir, nil
}

// readFile takes the values of the file at path; "" has none.
func (l *loader) readFile(path string) {
	if path == "" {
		return
	}
	l.config.File = path
	data, err := readFile(path, maxFileBytes)
	if err != nil {
		l.unread = true
		l.fail(l.inFile(position{}), "", "cannot read the configuration: "+err.Error())
		return
	}
	l.readDocument(data)
}

// readDocument takes the values of the file's content.
func (l *loader) readDocument(data []byte) {
	root, fault := parseDocument(data)
	if fault != nil {
		l.unread = true
		l.fail(l.inFile(fault.at), "", fault.text)
		return
	}
	l.walk(root, nil)
}

// walk takes the members of a table that exists in the key table.
func (l *loader) walk(table *node, path []string) {
	for _, child := range table.items {
		// The capacity ends here, so that siblings do not share their last part.
		here := append(path[:len(path):len(path)], child.name)
		k, name := l.table.find(here)
		switch {
		case len(here) == 2 && isNamedTable(here[0]) && !l.checkName(here[0], child):
		case k != nil:
			l.give(k, name, child, l.inFile(child.nameAt))
		case l.table.isSection(here):
			l.walkSection(child, here)
		default:
			what := "unknown key"
			if child.kind == kindTable || child.kind == kindTableList {
				what = "unknown table"
			}
			l.fail(l.inFile(child.nameAt), joinKey(here), what+l.didYouMean(func() string { return l.table.suggest(here) }))
		}
	}
}

func (l *loader) walkSection(table *node, path []string) {
	if table.kind != kindTable {
		header := joinKey(path)
		if isNamedTable(header) {
			header += "." + anyName
		}
		l.fail(l.inFile(table.valueAt), joinKey(path), "got "+table.given(false)+", want a table, written ["+header+"]")
		return
	}
	if len(path) == 2 && isNamedTable(path[0]) {
		l.mention(mention{path[0], path[1]}, l.inFile(table.nameAt))
	}
	l.walk(table, path)
}

func (l *loader) checkName(above string, table *node) bool {
	fault := nameFault(above, table.name)
	if fault != "" {
		l.fail(l.inFile(table.nameAt), joinKey([]string{above, table.name}), fault)
	}
	return fault == ""
}

func (l *loader) inFile(at position) place {
	return place{Origin: Origin{Kind: FromFile, Name: l.config.File, Line: at.line}, column: at.column}
}
