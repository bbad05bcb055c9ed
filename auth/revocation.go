package auth

import "sync"

// OnRevoke has fn called once when the token ends: revoked here or by another
// process, or its owner or scopes changed in the file. A token that has ended
// already, or never was, calls fn before OnRevoke returns; so what was
// verified before it registers is never missed. cancel takes the registration
// back; fn may still be running when it returns.
//
// fn runs on the goroutine that revokes, one after another with those of other
// streams: it must not block. A registration costs two small allocations and
// no goroutine.
//
// [FixedTokenID] and the empty id cannot be revoked; fn is then never called.
func (k *Keyring) OnRevoke(tokenID string, fn func()) (cancel func()) {
	if tokenID == "" || tokenID == FixedTokenID && k.fixed != nil {
		return func() {}
	}
	r := &registration{fn: fn, of: &k.revoked}
	// adopt swaps the set before it takes the registrations. So with the lock
	// held either the token is seen to be gone, or adopt will find r.
	k.revoked.mu.Lock()
	gone := k.set.Load().byID[tokenID] == nil
	if !gone {
		k.revoked.add(tokenID, r)
	}
	k.revoked.mu.Unlock()
	if gone {
		fn()
		return func() {}
	}
	return r.cancel
}

// revocations holds what is to be called when tokens end: for each token a
// ring of registrations, so that adding and cancelling cost the same with one
// and with 20,000 streams.
type revocations struct {
	mu    sync.Mutex
	rings map[string]*registration // any member of each ring
}

// registration is one fn in its token's ring. It is out of the ring when next
// is nil.
type registration struct {
	fn         func()
	of         *revocations
	token      string
	prev, next *registration
}

// ended are the registrations of tokens that are gone.
type ended []*registration

// end calls them. No lock of a Keyring may be held.
func (e ended) end() {
	for _, r := range e {
		r.fn()
	}
}

// add puts r in its token's ring. The caller holds mu.
func (v *revocations) add(token string, r *registration) {
	if v.rings == nil {
		v.rings = make(map[string]*registration)
	}
	r.token = token
	at := v.rings[token]
	if at == nil {
		r.prev, r.next = r, r
		v.rings[token] = r
		return
	}
	r.prev, r.next = at.prev, at
	at.prev.next = r
	at.prev = r
}

// take empties a token's ring, in the order of registration.
func (v *revocations) take(token string) ended {
	v.mu.Lock()
	defer v.mu.Unlock()
	var taken ended
	for r := v.rings[token]; r != nil; r = v.rings[token] {
		v.remove(r)
		taken = append(taken, r)
	}
	return taken
}

func (r *registration) cancel() {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	r.of.remove(r)
}

// remove takes r out of its ring if it is in it. The caller holds mu.
func (v *revocations) remove(r *registration) {
	if r.next == nil {
		return
	}
	if r.next == r {
		delete(v.rings, r.token)
	} else {
		r.prev.next, r.next.prev = r.next, r.prev
		if v.rings[r.token] == r {
			v.rings[r.token] = r.next
		}
	}
	r.prev, r.next = nil, nil
}
