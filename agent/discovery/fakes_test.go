package discovery

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// fake answers as a real server does: a body for each path, 404 for the others.
type fake struct {
	server string // the Server header
	paths  map[string]string
	// locked are paths that ask for a key, with the body of the refusal.
	locked map[string]string
}

func (f fake) start(t testing.TB) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.server != "" {
			w.Header().Set("Server", f.server)
		}
		if body, ok := f.locked[r.URL.Path]; ok {
			http.Error(w, body, http.StatusUnauthorized)
			return
		}
		body, ok := f.paths[r.URL.Path]
		if !ok {
			http.Error(w, `{"detail":"Not Found"}`, http.StatusNotFound)
			return
		}
		if strings.HasPrefix(body, "{") {
			w.Header().Set("Content-Type", "application/json")
		}
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s
}

const openAIList = `{"object":"list","data":[{"id":"m","object":"model","created":1677610602,"owned_by":"OWNER"}]}`

func ownedBy(owner string) string { return strings.Replace(openAIList, "OWNER", owner, 1) }

// fakes are the known servers, after their documentation and what they were seen
// to answer.
var fakes = map[string]struct {
	fake    fake
	kind    Kind
	version string
	models  string // the ids, with a star behind those that are loaded
}{
	"Ollama": {fake{paths: map[string]string{
		"/":            "Ollama is running",
		"/v1/models":   ownedBy("library"),
		"/api/version": `{"version":"0.12.6"}`,
		"/api/tags": `{"models":[
			{"name":"nomic-embed-text:latest","model":"nomic-embed-text:latest","modified_at":"2025-05-04T17:37:44.7Z","size":1,"digest":"d","details":{"format":"gguf","family":"nomic-bert","families":["nomic-bert"]}},
			{"name":"deepseek-r1:latest","model":"deepseek-r1:latest","modified_at":"2025-05-10T08:06:48.639712648-07:00","size":4683075271,"digest":"0a8c","details":{"parent_model":"","format":"gguf","family":"qwen2","families":["qwen2"],"parameter_size":"7.6B","quantization_level":"Q4_K_M"}},
			{"name":"llama3.2:latest","model":"llama3.2:latest","modified_at":"2025-05-04T17:37:44.706015396-07:00","size":2019393189,"digest":"a80c","details":{"parent_model":"","format":"gguf","family":"llama","families":["llama"],"parameter_size":"3.2B","quantization_level":"Q4_K_M"}}]}`,
		"/api/ps": `{"models":[{"name":"llama3.2:latest","model":"llama3.2:latest","size":1,"expires_at":"2030-06-04T14:38:31.83753-07:00"}]}`,
	}}, Ollama, "0.12.6", "deepseek-r1:latest llama3.2:latest*"},
	"an Ollama from before it spoke OpenAI's API": {fake{paths: map[string]string{
		"/api/version": `{"version":"0.1.20"}`, "/api/tags": `{"models":[{"name":"llama2:latest"}]}`,
	}}, Ollama, "0.1.20", "llama2:latest"},
	"an Ollama without models": {fake{paths: map[string]string{
		"/v1/models": `{"object":"list","data":[]}`, "/api/version": `{"version":"0.12.6"}`, "/api/tags": `{"models":[]}`,
	}}, Ollama, "0.12.6", ""},
	"LM Studio": {fake{paths: map[string]string{
		"/v1/models": ownedBy("organization_owner"),
		"/api/v0/models": `{"object":"list","data":[
			{"id":"qwen2-vl-7b-instruct","object":"model","type":"vlm","publisher":"mlx-community","arch":"qwen2_vl","compatibility_type":"mlx","quantization":"4bit","state":"not-loaded","max_context_length":32768},
			{"id":"meta-llama-3.1-8b-instruct","object":"model","type":"llm","publisher":"lmstudio-community","arch":"llama","compatibility_type":"gguf","quantization":"Q4_K_M","state":"loaded","max_context_length":131072},
			{"id":"text-embedding-nomic-embed-text-v1.5","object":"model","type":"embeddings","publisher":"nomic-ai","arch":"nomic-bert","compatibility_type":"gguf","quantization":"Q4_0","state":"not-loaded","max_context_length":2048}]}`,
	}}, LMStudio, "", "qwen2-vl-7b-instruct meta-llama-3.1-8b-instruct*"},
	"llama.cpp": {fake{server: "llama.cpp", paths: map[string]string{
		"/v1/models": `{"models":[{"name":"gemma","model":"gemma","type":"model","capabilities":["completion"]}],"object":"list","data":[{"id":"gemma","object":"model","created":1735142223,"owned_by":"llamacpp","meta":{"vocab_type":2,"n_vocab":128256}}]}`,
		"/props":     `{"default_generation_settings":{"n_ctx":65536},"total_slots":4,"model_path":"gemma.gguf","build_info":"b8681-abc","chat_template":""}`,
		"/api/tags":  `{"models":[{"name":"gemma","model":"gemma"}]}`, // it has this of Ollama's
		"/health":    `{"status":"ok"}`,
	}}, LlamaCPP, "b8681-abc", "gemma"},
	"a llama.cpp with several models": {fake{server: "llama.cpp", paths: map[string]string{
		"/v1/models": `{"object":"list","data":[{"id":"a","owned_by":"llamacpp","created":1,"status":{"value":"unloaded"}},{"id":"b","owned_by":"llamacpp","created":1,"status":{"value":"loaded"}}]}`,
	}}, LlamaCPP, "", "a b*"},
	"a llama.cpp with a key": {fake{server: "llama.cpp", locked: map[string]string{
		"/props": `{"error":{"message":"Invalid API Key","type":"authentication_error","code":401}}`,
	}, paths: map[string]string{"/v1/models": ownedBy("llamacpp")}}, LlamaCPP, "", "m"},
	"vLLM": {fake{server: "uvicorn", paths: map[string]string{
		"/v1/models":    `{"object":"list","data":[{"id":"meta-llama/Llama-3.1-8B-Instruct","object":"model","created":1715644056,"owned_by":"vllm","root":"meta-llama/Llama-3.1-8B-Instruct","parent":null,"max_model_len":131072,"permission":[]}]}`,
		"/version":      `{"version":"0.8.5"}`,
		"/openapi.json": `{"openapi":"3.1.0","info":{"title":"FastAPI","version":"0.1.0"}}`,
	}}, VLLM, "0.8.5", "meta-llama/Llama-3.1-8B-Instruct"},
	"SGLang": {fake{server: "uvicorn", paths: map[string]string{
		"/v1/models":       ownedBy("sglang"),
		"/get_model_info":  `{"model_path":"qwen/qwen2.5-0.5b-instruct","tokenizer_path":"qwen/qwen2.5-0.5b-instruct","is_generation":true,"preferred_sampling_params":null}`,
		"/get_server_info": `{"model_path":"qwen/qwen2.5-0.5b-instruct","version":"0.4.6"}`,
	}}, SGLang, "0.4.6", "m"},
	"an SGLang with the new names": {fake{paths: map[string]string{
		"/v1/models": ownedBy("sglang"), "/model_info": `{"model_path":"q","is_generation":true}`, "/server_info": `{"version":"0.5.9"}`,
	}}, SGLang, "0.5.9", "m"},
	"LocalAI": {fake{paths: map[string]string{
		"/v1/models":                `{"object":"list","data":[{"id":"gpt-4","object":"model"}]}`,
		"/.well-known/localai.json": `{"version":"v2.28.0","endpoints":{"models":"/v1/models"},"capabilities":{}}`,
		"/system":                   `{"backends":["llama-cpp"],"loaded_models":[]}`,
		"/readyz":                   "OK",
	}}, LocalAI, "v2.28.0", "gpt-4"},
	"a LocalAI from before its well-known document": {fake{paths: map[string]string{
		"/v1/models": `{"object":"list","data":[{"id":"gpt-4","object":"model"}]}`,
		"/system":    `{"backends":["llama-cpp","whisper"],"loaded_models":[{"id":"m"}]}`,
		"/version":   `{"version":"2.26.0 (a1b2c3d4)"}`,
	}}, LocalAI, "2.26.0 (a1b2c3d4)", "gpt-4"},
	"Jan": {fake{paths: map[string]string{
		"/v1/models":    `{"object":"list","data":[{"id":"jan-nano","object":"model","created":1,"owned_by":"user"}]}`,
		"/openapi.json": `{"openapi":"3.0.0","info":{"title":"Jan API Server Endpoints","version":"0.3.14"}}`,
		"/":             "<!DOCTYPE html><title>API Docs</title>",
	}}, Jan, "", "jan-nano"},
	"an OpenAI-compatible server of no known kind": {fake{paths: map[string]string{
		"/v1/models": ownedBy("me"), "/version": `{"version":"1"}`,
	}}, OpenAI, "", "m"},
}
