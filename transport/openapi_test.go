package transport

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// openAPI is what these tests look at in the document.
type openAPI struct {
	Info  struct{ Version string }
	Paths map[string]map[string]json.RawMessage
}

func readOpenAPI(t *testing.T) (document openAPI, whole any) {
	t.Helper()
	served := openAPIOf(`1.2.3 "x"`)
	if err := json.Unmarshal(served, &document); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(served, &whole); err != nil {
		t.Fatal(err)
	}
	return document, whole
}

func TestTheDocumentTellsTheVersion(t *testing.T) {
	document, _ := readOpenAPI(t)
	if document.Info.Version != `1.2.3 "x"` {
		t.Errorf("info.version is %q", document.Info.Version)
	}
}

func TestRoutesAndTheDocumentAgree(t *testing.T) {
	document, _ := readOpenAPI(t)
	var documented, routed []string
	for path, item := range document.Paths {
		for method := range item {
			documented = append(documented, strings.ToUpper(method)+" "+path)
		}
	}
	for _, rt := range new(Server).routes() {
		routed = append(routed, rt.method+" "+strings.ReplaceAll(rt.pattern, ":*}", "}"))
	}
	slices.Sort(documented)
	slices.Sort(routed)
	for _, operation := range documented {
		if !slices.Contains(routed, operation) {
			t.Errorf("%s is documented and has no route", operation)
		}
	}
	for _, operation := range routed {
		if !slices.Contains(documented, operation) {
			t.Errorf("%s is a route and not documented", operation)
		}
	}
}

func TestOperationsSayWhoMayAsk(t *testing.T) {
	document, _ := readOpenAPI(t)
	// These answer without a token of the gateway's, or with a secret of their own.
	own := []string{"/pair", "/api/node-control", "/v1/webhook/{channel}"}
	for _, rt := range new(Server).routes() {
		path := strings.ReplaceAll(rt.pattern, ":*}", "}")
		var operation struct {
			Security  *[]any
			Responses map[string]any
		}
		if err := json.Unmarshal(document.Paths[path][strings.ToLower(rt.method)], &operation); err != nil {
			t.Fatal(err)
		}
		open := operation.Security != nil && len(*operation.Security) == 0
		if want := rt.scope == scopeNone && !slices.Contains(own, path); open != want {
			t.Errorf("%s %s: documented as open: %v, want %v", rt.method, path, open, want)
		}
		if _, limited := operation.Responses["429"]; limited == rt.unlimited {
			t.Errorf("%s %s: documented as limited: %v, but unlimited: %v", rt.method, path, limited, rt.unlimited)
		}
	}
}

func TestTheDocumentListsEveryErrorCode(t *testing.T) {
	_, whole := readOpenAPI(t)
	var want []string
	var types []string
	for code, info := range codes {
		want = append(want, string(code))
		types = append(types, info.kind)
	}
	for name, want := range map[string][]string{"code": want, "type": types} {
		got := []string{}
		for _, v := range at(t, whole, "components/schemas/Error/properties/error/properties/"+name+"/enum").([]any) {
			got = append(got, v.(string))
		}
		slices.Sort(got)
		slices.Sort(want)
		if want = slices.Compact(want); !slices.Equal(got, want) {
			t.Errorf("%s is documented as one of\n%v, but it is one of\n%v", name, got, want)
		}
	}
}

func TestFormsOfHeadersAreThoseOfTheDocument(t *testing.T) {
	_, whole := readOpenAPI(t)
	for path, want := range map[string]string{
		"components/parameters/OnDisconnect/schema/pattern":   disconnectForm.String(),
		"components/parameters/RequestTimeout/schema/pattern": timeoutForm.String(),
		"components/schemas/Position/pattern":                 strings.ReplaceAll(strings.ReplaceAll(positionForm.String(), "(?:([0-9a-z]+)-)", "([0-9a-z]+-)"), "([0-9]{1,19})", "[0-9]{1,19}"),
	} {
		if got := at(t, whole, path); got != want {
			t.Errorf("%s is\n%v, the code has\n%v", path, got, want)
		}
	}
}

func TestReferencesOfTheDocumentResolve(t *testing.T) {
	_, whole := readOpenAPI(t)
	used := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				path, local := strings.CutPrefix(ref, "#/")
				if !local {
					t.Errorf("%s leaves the document", ref)
				} else if at(t, whole, path) != nil {
					used[path] = true
				}
			}
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(whole)
	// What prose names instead of a reference.
	for _, name := range []string{"schemas/SocketMessage", "schemas/SocketFrame"} {
		used["components/"+name] = true
	}
	for kind, parts := range at(t, whole, "components").(map[string]any) {
		if kind == "securitySchemes" {
			continue
		}
		for name := range maps.Keys(parts.(map[string]any)) {
			if path := "components/" + kind + "/" + name; !used[path] {
				t.Errorf("%s is used by nothing", path)
			}
		}
	}
}

// at finds a value by its path in the document.
func at(t *testing.T, v any, path string) any {
	t.Helper()
	for name := range strings.SplitSeq(path, "/") {
		object, _ := v.(map[string]any)
		if v = object[name]; v == nil {
			t.Errorf("there is no %s", path)
			return nil
		}
	}
	return v
}
