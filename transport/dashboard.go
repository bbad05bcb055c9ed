package transport

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"path"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"
)

//go:embed dashboard
var dashboardFiles embed.FS

// dashboard is the page of GET / and the files it loads. Their addresses hold a
// digest of all of them, so that a browser may keep each for ever and a page never
// runs with files of another version. Everything is made at the first request.
type dashboard struct {
	once   sync.Once
	digest string
	files  map[string]*dashboardFile // by their path below /dashboard/{digest}/
}

type dashboardFile struct {
	kind           string // its media type
	plain, gzipped []byte
}

// dashboardPolicy lets the page load and ask what is of this gateway, and nothing
// else. What a model wrote becomes elements by the sanitizer alone (see
// https://w3c.github.io/trusted-types/dist/spec/).
const dashboardPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; worker-src 'self'; " +
	"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types dompurify agentzero"

const dashboardIndex = "index.html"

// load reads the files. pairing tells the page whether it needs a token.
func (d *dashboard) load(pairing bool) {
	d.files = make(map[string]*dashboardFile)
	digest := sha256.New()
	const root = "dashboard"
	err := fs.WalkDir(dashboardFiles, root, func(name string, e fs.DirEntry, err error) error {
		kind := mediaType(name)
		if err != nil || e.IsDir() || kind == "" {
			return err
		}
		data, err := dashboardFiles.ReadFile(name)
		if err != nil {
			return err
		}
		digest.Write([]byte(name))
		digest.Write(data)
		d.files[strings.TrimPrefix(name, root+"/")] = &dashboardFile{kind: kind, plain: data}
		return nil
	})
	if err != nil {
		panic("transport: the dashboard's files cannot be read: " + err.Error()) // they are in the binary
	}
	d.digest = hex.EncodeToString(digest.Sum(nil)[:8])
	index := d.files[dashboardIndex]
	needs := "none"
	if pairing {
		needs = "required"
	}
	index.plain = []byte(strings.NewReplacer("{{files}}", "dashboard/"+d.digest, "{{pairing}}", needs).Replace(string(index.plain)))
	for _, f := range d.files {
		f.gzipped = gzipOf(f.plain)
	}
}

// mediaType is that of a file which is served, or "".
func mediaType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css", ".html", ".svg":
		return mime.TypeByExtension(path.Ext(name))
	}
	return ""
}

func gzipOf(data []byte) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // the level is one of gzip's
	_, _ = w.Write(data)                                    // to a buffer
	_ = w.Close()
	return out.Bytes()
}

func (f *dashboardFile) write(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.SetContentType(f.kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept-Encoding")
	if ctx.Request.Header.HasAcceptEncoding("gzip") {
		h.Set("Content-Encoding", "gzip")
		ctx.Response.SetBodyRaw(f.gzipped)
		return
	}
	ctx.Response.SetBodyRaw(f.plain)
}

func (s *Server) loadDashboard() {
	s.dashboard.once.Do(func() { s.dashboard.load(s.options.RequirePairing) })
}

// dashboardPage answers GET /.
func (s *Server) dashboardPage(ctx *fasthttp.RequestCtx, _ *request) error {
	s.loadDashboard()
	h := &ctx.Response.Header
	h.Set("Content-Security-Policy", dashboardPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	s.dashboard.files[dashboardIndex].write(ctx)
	return nil
}

// dashboardFile answers GET /dashboard/{digest}/{file}.
func (s *Server) dashboardFile(ctx *fasthttp.RequestCtx, _ *request) error {
	s.loadDashboard()
	digest, _ := ctx.UserValue("digest").(string)
	name, _ := ctx.UserValue("file").(string)
	f := s.dashboard.files[name]
	if f == nil || digest != s.dashboard.digest || name == dashboardIndex {
		return fail(CodeNotFound, "the dashboard has no such file now; load GET / again")
	}
	h := &ctx.Response.Header
	// A worker has no policy but its own; ours need no more than the page.
	h.Set("Content-Security-Policy", dashboardPolicy)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	f.write(ctx)
	return nil
}
