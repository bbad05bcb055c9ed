package auth

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// ledgerVersion is the format of the token file. A file of another version is
// refused, as an older program would lose what it does not know.
const ledgerVersion = 1

// ledger is the content of a token file.
type ledger struct {
	records []record
	// sum is the hash of the file's bytes, to know it again.
	sum digest
	// missing says that there is no file; the ledger is then empty.
	missing bool
}

// record is one token of the file.
type record struct {
	Token
	SHA256 digest `json:"sha256"`
}

// ledgerJSON is the form of the file.
type ledgerJSON struct {
	Version int      `json:"version"`
	Tokens  []record `json:"tokens"`
}

// parseLedger reads a token file. It takes nothing it would not write: a file
// with unknown fields, doubles or bad values is refused as a whole.
func parseLedger(data []byte) (*ledger, error) {
	var file ledgerJSON
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("not a token file: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not a token file: something follows the JSON object")
	}
	if file.Version != ledgerVersion {
		return nil, fmt.Errorf("version %d of the format is not known here", file.Version)
	}
	if len(file.Tokens) > maxTokens {
		return nil, fmt.Errorf("more than %d tokens", maxTokens)
	}
	ids := make(map[string]bool, len(file.Tokens))
	hashes := make(map[digest]bool, len(file.Tokens))
	for i := range file.Tokens {
		r := &file.Tokens[i]
		if err := r.normalize(); err != nil {
			return nil, fmt.Errorf("token %d: %w", i+1, err)
		}
		if ids[r.ID] || hashes[r.SHA256] {
			return nil, fmt.Errorf("token %d: its id or sha256 occurs twice", i+1)
		}
		ids[r.ID], hashes[r.SHA256] = true, true
	}
	return &ledger{records: file.Tokens, sum: sha256.Sum256(data)}, nil
}

func (r *record) normalize() error {
	if err := CheckOwner(r.ID); err != nil || r.ID == FixedTokenID {
		return errors.New("bad id")
	}
	if err := checkName(r.Name); err != nil {
		return err
	}
	if err := CheckOwner(r.Owner); err != nil {
		return err
	}
	if r.Scopes == 0 {
		return errors.New("no scopes")
	}
	if r.Kind != KindPaired && r.Kind != KindCreated {
		return fmt.Errorf("unknown kind %q", r.Kind)
	}
	if r.SHA256 == (digest{}) {
		return errors.New("no sha256")
	}
	r.Created = coarse(r.Created)
	r.LastUsed = coarse(r.LastUsed)
	// Years that JSON cannot write would make the file unwritable.
	if y := r.Created.Year(); y < 1970 || y > 9998 {
		return errors.New("bad time of creation")
	}
	if y := r.LastUsed.Year(); !r.LastUsed.IsZero() && (y < 1970 || y > 9998) {
		return errors.New("bad time of last use")
	}
	return nil
}

func coarse(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

// encode writes the file's bytes and takes their sum.
func (l *ledger) encode() ([]byte, error) {
	file := ledgerJSON{Version: ledgerVersion, Tokens: l.records}
	if file.Tokens == nil {
		file.Tokens = []record{}
	}
	data, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return nil, err
	}
	data = append(data, '\n')
	l.sum = sha256.Sum256(data)
	return data, nil
}

// create adds a token and gives its secret, the only time it is known.
func (l *ledger) create(spec NewToken, kind Kind, now time.Time) (secret string, t Token, err error) {
	if spec.Owner == "" {
		spec.Owner = DefaultOwner
	}
	if spec.Scopes == 0 {
		spec.Scopes = DeviceScopes
	}
	if spec.Scopes.Has(ScopeAdmin) {
		spec.Scopes = AdminScopes
	}
	if err := checkName(spec.Name); err != nil {
		return "", Token{}, err
	}
	if err := CheckOwner(spec.Owner); err != nil {
		return "", Token{}, err
	}
	if spec.Scopes&^AdminScopes != 0 {
		return "", Token{}, fmt.Errorf("unknown scopes %#x", uint8(spec.Scopes))
	}
	if len(l.records) >= maxTokens {
		return "", Token{}, ErrTooMany
	}
	if slices.ContainsFunc(l.records, func(r record) bool { return r.Name == spec.Name }) {
		return "", Token{}, ErrNameTaken
	}
	id := newTokenID()
	for l.index(id) >= 0 {
		id = newTokenID()
	}
	secret = newSecret(TokenPrefix)
	t = Token{ID: id, Name: spec.Name, Owner: spec.Owner, Scopes: spec.Scopes, Kind: kind, Created: coarse(now)}
	l.records = append(l.records, record{Token: t, SHA256: sha256.Sum256([]byte(secret))})
	return secret, t, nil
}

// revoke takes a token out. An id goes before a name, so that nobody can hide
// a token behind another's id.
func (l *ledger) revoke(idOrName string) (Token, error) {
	at := l.index(idOrName)
	if at < 0 {
		named := func(r record) bool { return r.Name == idOrName }
		at = slices.IndexFunc(l.records, named)
		if at < 0 {
			return Token{}, ErrNotFound
		}
		if slices.ContainsFunc(l.records[at+1:], named) {
			return Token{}, ErrAmbiguous
		}
	}
	t := l.records[at].Token
	l.records = slices.Delete(l.records, at, at+1)
	return t, nil
}

func (l *ledger) index(id string) int {
	return slices.IndexFunc(l.records, func(r record) bool { return r.ID == id })
}

// freeName makes name one that no token has, by a number behind it.
func (l *ledger) freeName(name string) string {
	taken := make(map[string]bool, len(l.records))
	for _, r := range l.records {
		taken[r.Name] = true
	}
	free := name
	for n := 2; taken[free]; n++ {
		suffix := " " + strconv.Itoa(n)
		runes := []rune(name)
		free = string(runes[:min(len(runes), maxNameRunes-len(suffix))]) + suffix
	}
	return free
}
