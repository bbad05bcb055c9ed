package actors

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"strings"
	"time"

	"agentzero/store"
)

// Key is a session's identity: the owner and the name the owner's clients use.
// One key is one actor, whatever door a message comes through.
type Key struct {
	Owner string
	Name  string
}

// MaxNameLength is the longest name of a session in bytes.
const MaxNameLength = 128

// ErrName tells what a session's name may be.
var ErrName = errors.New("a session id is 1 to 128 of the characters A-Z a-z 0-9 and . _ ~ - : @ + =")

// ParseName checks the name of a session as a client gave it.
func ParseName(name string) (string, error) {
	if name == "" || len(name) > MaxNameLength || name == "." || name == ".." {
		return "", ErrName
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("._~-:@+=", c) >= 0:
		default:
			return "", ErrName
		}
	}
	return name, nil
}

// address is the actor's name. A name holds no slash, so two keys never share
// an address.
func (k Key) address() string { return "session/" + k.Owner + "/" + k.Name }

func (k Key) id() store.ID { return store.ID{Owner: k.Owner, Name: k.Name} }

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// newDeliveryID returns a fresh identifier that sorts by the time when it was made:
// deliveries that come together then stand together in the store's index.
func newDeliveryID() string {
	var b [15]byte
	milliseconds := time.Now().UnixMilli()
	for i := range 6 {
		b[i] = byte(milliseconds >> (8 * (5 - i)))
	}
	_, _ = rand.Read(b[6:]) // never fails, as its documentation says
	return "dlv_" + idEncoding.EncodeToString(b[:])
}

// NewID returns a fresh identifier of 24 characters (120 random bits) behind
// the prefix.
func NewID(prefix string) string {
	var b [15]byte
	_, _ = rand.Read(b[:]) // never fails, as its documentation says
	var text [24]byte
	idEncoding.Encode(text[:], b[:])
	return prefix + string(text[:])
}
