package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// contentPart is one part of a message's content.
type contentPart struct {
	Type     string          `json:"type"`
	Text     string          `json:"text"`
	Refusal  string          `json:"refusal"`
	ImageURL json.RawMessage `json:"image_url"`
	File     struct {
		Data string `json:"file_data"`
		Name string `json:"filename"`
	} `json:"file"`
	CacheControl json.RawMessage `json:"cache_control"`
}

// anthropicContent translates the content of a message. Blank text is left out.
func anthropicContent(text string, content json.RawMessage) ([]any, error) {
	if len(content) == 0 || content[0] != '[' {
		return anthropicTexts(text, nil), nil
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(content, &parts); err != nil {
		return nil, errors.New("its content is not as OpenAI's API has it")
	}
	var blocks []any
	for _, raw := range parts {
		var part contentPart
		if err := json.Unmarshal(raw, &part); err != nil {
			return nil, errors.New("its content is not as OpenAI's API has it")
		}
		switch part.Type {
		case "text", "refusal":
			blocks = append(blocks, anthropicTexts(part.Text+part.Refusal, part.CacheControl)...)
		case "image_url":
			image, err := anthropicImage(part)
			if err != nil {
				return nil, err
			}
			blocks = append(blocks, image)
		case "file":
			document, err := anthropicDocument(part)
			if err != nil {
				return nil, err
			}
			blocks = append(blocks, document)
		case "image", "document", "search_result": // the API's own
			blocks = append(blocks, raw)
		default:
			return nil, fmt.Errorf("it takes no content of type %q", part.Type)
		}
	}
	return blocks, nil
}

// anthropicTexts is one block of text, or none.
func anthropicTexts(text string, cacheControl json.RawMessage) []any {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	return []any{anthropicText{Type: "text", Text: text, CacheControl: cacheControl}}
}

func anthropicImage(part contentPart) (anthropicFile, error) {
	address := part.ImageURL
	if !isString(address) {
		address = jsonMember(address, "url")
	}
	image := anthropicFile{Type: "image", CacheControl: part.CacheControl}
	switch url := plain(address); {
	case strings.HasPrefix(url, "https://"), strings.HasPrefix(url, "http://"):
		image.Source = anthropicSource{Type: "url", URL: url}
	default:
		mediaType, data, ok := base64URL(url)
		if !ok {
			return image, errors.New("it takes images only from https: and http: URLs, and from data: URLs in base64")
		}
		if mediaType == "image/jpg" { // which is none, and often written
			mediaType = "image/jpeg"
		}
		image.Source = anthropicSource{Type: "base64", MediaType: mediaType, Data: data}
	}
	return image, nil
}

func anthropicDocument(part contentPart) (anthropicFile, error) {
	document := anthropicFile{Type: "document", Title: part.File.Name, CacheControl: part.CacheControl}
	mediaType, data, ok := base64URL(part.File.Data)
	if !ok || mediaType != "application/pdf" {
		return document, errors.New("it takes files only as file_data, a data: URL of a PDF in base64")
	}
	document.Source = anthropicSource{Type: "base64", MediaType: mediaType, Data: data}
	return document, nil
}

// base64URL takes a data: URL (RFC 2397) apart, if it is in base64. The type is
// without its parameters.
func base64URL(url string) (mediaType, data string, ok bool) {
	head, data, found := strings.Cut(url, ",")
	head, inBase64 := strings.CutSuffix(head, ";base64")
	head, isData := strings.CutPrefix(head, "data:")
	mediaType, _, _ = strings.Cut(head, ";")
	return strings.ToLower(strings.TrimSpace(mediaType)), data, found && inBase64 && isData && data != ""
}
