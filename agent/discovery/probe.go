package discovery

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxAnswer bounds what is read of one answer, in bytes. The longest is a list of
// models.
const maxAnswer = 4 << 20

// probe asks one address.
type probe struct {
	ctx    context.Context
	client *http.Client
	base   string
}

// answer is what came of one question; the zero value is none.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) ok() bool { return a.status == http.StatusOK }

// json reads the body into v, and tells whether it could.
func (a answer) json(v any) bool { return a.ok() && json.Unmarshal(a.body, v) == nil }

func (p *probe) get(path string) answer {
	req, err := http.NewRequestWithContext(p.ctx, http.MethodGet, p.base+path, nil)
	if err != nil {
		return answer{}
	}
	req.Header.Set("Accept", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return answer{}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}
	}
	return answer{resp.StatusCode, resp.Header, body}
}

// identify finds out what listens at the address; nil where it is no model
// server, or this gateway's like.
func (p *probe) identify() *Server {
	began := time.Now()
	list := p.get("/v1/models")
	latency := time.Since(began)
	if list.status == 0 {
		return nil
	}
	models, isList := parseModels(list)
	locked := list.status == http.StatusUnauthorized || list.status == http.StatusForbidden
	s := &Server{Address: p.base, Models: models, Latency: latency, NeedsKey: locked}
	if t := p.surest(isList || locked); t != nil {
		if t.kind == self {
			return nil
		}
		s.Kind, s.Version = t.kind, t.version
		if t.models != nil {
			s.Models, s.NeedsKey = t.models, false
		}
	}
	if s.Kind == "" {
		s.Kind = kindOf(list, models)
	}
	if s.Kind == "" {
		if !isList {
			return nil
		}
		s.Kind = OpenAI
	}
	if s.Kind == LlamaCPP && s.Version == "" {
		s.Version = strings.TrimSpace(strings.TrimPrefix(list.header.Get("Server"), "llama.cpp"))
	}
	if s.Models == nil {
		s.Models = []Model{}
	}
	return s
}

// trait is what a kind of server has told about itself.
type trait struct {
	kind    Kind
	version string
	models  []Model // nil where /v1/models tells as much
}

// self is the kind of a gateway like this one, which is no model server.
const self Kind = "agentzero"

// tests are the questions that tell the kinds apart, the surest first: some
// servers answer to others' questions too (llama.cpp has a part of Ollama's API,
// LocalAI a /version like vLLM's).
var tests = []func(*probe) *trait{
	testOwn, testLlamaCPP, testSGLang, testLocalAI, testLMStudio, testOllama, testVLLM,
}

// surest puts all the questions at once and returns the surest thing that was
// told, or nil. A server without OpenAI's list can only be an Ollama that is older
// than that.
func (p *probe) surest(hasList bool) *trait {
	asked := tests
	if !hasList {
		asked = []func(*probe) *trait{testOllama}
	}
	told := make([]*trait, len(asked))
	var wg sync.WaitGroup
	for i, test := range asked {
		wg.Go(func() { told[i] = test(p) })
	}
	wg.Wait()
	for _, t := range told {
		if t != nil {
			return t
		}
	}
	return nil
}

// testOwn knows Jan, and this gateway's like, by the title of their OpenAPI
// document, which both give without a key.
func testOwn(p *probe) *trait {
	var doc struct {
		Info struct{ Title, Version string }
	}
	if !p.get("/openapi.json").json(&doc) {
		return nil
	}
	switch {
	case doc.Info.Title == string(self):
		return &trait{kind: self}
	case strings.HasPrefix(doc.Info.Title, "Jan API Server"):
		return &trait{kind: Jan} // the version is the document's, not Jan's
	}
	return nil
}

// testLlamaCPP: GET /props, {"default_generation_settings":{...},"build_info":"b8681-..."}.
func testLlamaCPP(p *probe) *trait {
	var props struct {
		Settings  json.RawMessage `json:"default_generation_settings"`
		BuildInfo string          `json:"build_info"`
	}
	if !p.get("/props").json(&props) || props.Settings == nil {
		return nil
	}
	return &trait{kind: LlamaCPP, version: props.BuildInfo}
}

// testSGLang: GET /get_model_info (of late /model_info), {"model_path":"...",
// "is_generation":true}; the version is in /get_server_info (of late /server_info).
func testSGLang(p *probe) *trait {
	for _, prefix := range []string{"/get_", "/"} {
		var model struct {
			Path       string `json:"model_path"`
			Generation *bool  `json:"is_generation"`
		}
		if p.get(prefix+"model_info").json(&model) && model.Path != "" && model.Generation != nil {
			var server struct{ Version string }
			p.get(prefix + "server_info").json(&server)
			return &trait{kind: SGLang, version: server.Version}
		}
	}
	return nil
}

// testLocalAI: GET /.well-known/localai.json, {"version":"v2.28.0",...}, or before
// that GET /system, {"backends":[...],"loaded_models":[...]}.
func testLocalAI(p *probe) *trait {
	var known struct {
		Version   string
		Endpoints map[string]any
	}
	if p.get("/.well-known/localai.json").json(&known) && known.Endpoints != nil {
		return &trait{kind: LocalAI, version: known.Version}
	}
	var system struct{ Backends []string }
	if !p.get("/system").json(&system) || system.Backends == nil {
		return nil
	}
	var version struct{ Version string }
	p.get("/version").json(&version)
	return &trait{kind: LocalAI, version: version.Version}
}

// testLMStudio: GET /api/v0/models, OpenAI's list with "state" and "type" in each
// entry. It tells no version.
func testLMStudio(p *probe) *trait {
	var list struct {
		Data []struct {
			ID, Type, State string
		}
	}
	if !p.get("/api/v0/models").json(&list) || list.Data == nil {
		return nil
	}
	models := []Model{}
	for _, m := range list.Data {
		if m.State == "" {
			return nil
		}
		if m.ID == "" || m.Type == "embeddings" {
			continue
		}
		models = append(models, Model{ID: m.ID, Loaded: m.State == "loaded", OwnedBy: "lmstudio"})
	}
	return &trait{kind: LMStudio, models: models}
}

// testOllama: GET /api/version, {"version":"0.5.1"}, and /api/tags,
// {"models":[{"name":"llama3.2:latest","details":{"family":"llama"}}]}; what is
// loaded is in /api/ps.
func testOllama(p *probe) *trait {
	var version struct{ Version string }
	var tags struct {
		Models []struct {
			Name     string
			Modified time.Time `json:"modified_at"`
			Details  struct{ Family string }
		}
	}
	if !p.get("/api/version").json(&version) || version.Version == "" || !p.get("/api/tags").json(&tags) || tags.Models == nil {
		return nil
	}
	var running struct{ Models []struct{ Name string } }
	p.get("/api/ps").json(&running)
	loaded := make(map[string]bool)
	for _, m := range running.Models {
		loaded[m.Name] = true
	}
	models := []Model{}
	for _, m := range tags.Models {
		if m.Name == "" || strings.Contains(m.Details.Family, "bert") { // those embed and do not chat
			continue
		}
		models = append(models, Model{ID: m.Name, Loaded: loaded[m.Name], Created: max(0, m.Modified.Unix()), OwnedBy: "library"})
	}
	return &trait{kind: Ollama, version: version.Version, models: models}
}

// testVLLM: GET /version, {"version":"0.8.5"}, of a server whose models are owned
// by "vllm". The first alone is anybody's.
func testVLLM(p *probe) *trait {
	var version struct{ Version string }
	if !p.get("/version").json(&version) || version.Version == "" {
		return nil
	}
	list := p.get("/v1/models")
	models, _ := parseModels(list)
	if kindOf(list, models) != VLLM {
		return nil
	}
	return &trait{kind: VLLM, version: version.Version}
}

// kindOf is what a list of models alone tells of its server.
func kindOf(list answer, models []Model) Kind {
	if strings.HasPrefix(list.header.Get("Server"), "llama.cpp") {
		return LlamaCPP
	}
	if len(models) == 0 {
		return ""
	}
	switch models[0].OwnedBy {
	case "llamacpp":
		return LlamaCPP
	case "vllm":
		return VLLM
	case "sglang":
		return SGLang
	}
	return ""
}

// parseModels reads OpenAI's list of models; false where it is none.
func parseModels(a answer) ([]Model, bool) {
	var list struct {
		Data []struct {
			ID      string          `json:"id"`
			Created json.RawMessage `json:"created"`
			OwnedBy string          `json:"owned_by"`
			// Status is llama.cpp's, where it serves several models.
			Status *struct{ Value string } `json:"status"`
		}
	}
	if !a.json(&list) || list.Data == nil {
		return nil, false
	}
	models := make([]Model, 0, len(list.Data))
	for _, m := range list.Data {
		if m.ID == "" {
			continue
		}
		var created float64 // some write a fraction, or a string
		if json.Unmarshal(m.Created, &created) != nil || created < 0 || created > 1<<40 {
			created = 0
		}
		models = append(models, Model{ID: m.ID, Created: int64(created), OwnedBy: m.OwnedBy, Loaded: m.Status != nil && m.Status.Value == "loaded"})
	}
	return models, true
}

func portText(port int) string { return strconv.Itoa(port) }

// portOf is an URL's port, its scheme's where it names none.
func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}
