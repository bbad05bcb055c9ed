package auth

import "testing"

func TestATicketIsGoodOnce(t *testing.T) {
	k := open(t, Options{})
	_, tok := create(t, k, "laptop")
	id := Identity{TokenID: tok.ID, Owner: tok.Owner, Scopes: tok.Scopes}
	ticket := k.IssueTicket(id)
	if got, ok := k.RedeemTicket(ticket); !ok || got != id {
		t.Fatalf("RedeemTicket = %+v, %v", got, ok)
	}
	for _, bad := range []string{ticket, "", "azt_", k.IssueTicket(id) + "x"} {
		if _, ok := k.RedeemTicket(bad); ok {
			t.Errorf("took the ticket %q", bad)
		}
	}
}

func TestATicketExpires(t *testing.T) {
	clock := newClock()
	k := open(t, Options{Now: clock.Now})
	early, late := k.IssueTicket(Identity{}), k.IssueTicket(Identity{})
	clock.Advance(TicketLife - 1)
	if _, ok := k.RedeemTicket(early); !ok {
		t.Error("refused in time")
	}
	clock.Advance(1)
	if _, ok := k.RedeemTicket(late); ok {
		t.Error("taken too late")
	}
}

func TestATicketEndsWithItsToken(t *testing.T) {
	k := open(t, Options{FixedToken: "fixed-token-0123456789"})
	_, tok := create(t, k, "laptop")
	ticket := k.IssueTicket(Identity{TokenID: tok.ID, Owner: tok.Owner, Scopes: tok.Scopes})
	fixed := k.IssueTicket(fixedIdentity())
	if _, err := k.Revoke(tok.ID); err != nil {
		t.Fatal(err)
	}
	if _, ok := k.RedeemTicket(ticket); ok {
		t.Error("the ticket of a revoked token was taken")
	}
	if got, ok := k.RedeemTicket(fixed); !ok || got != fixedIdentity() {
		t.Error("the ticket of the fixed token was refused")
	}
}

func TestTicketsAreBounded(t *testing.T) {
	clock := newClock()
	k := open(t, Options{Now: clock.Now})
	oldest, second := k.IssueTicket(Identity{}), k.IssueTicket(Identity{})
	for range maxTickets - 1 {
		k.IssueTicket(Identity{})
	}
	if n, m := len(k.tickets.byKey), k.tickets.order.Len(); n != maxTickets || m != maxTickets {
		t.Errorf("%d tickets by key, %d in order, want %d", n, m, maxTickets)
	}
	if _, ok := k.RedeemTicket(oldest); ok {
		t.Error("the oldest was kept")
	}
	if _, ok := k.RedeemTicket(second); !ok {
		t.Error("one too many was dropped")
	}
	clock.Advance(TicketLife)
	k.IssueTicket(Identity{})
	if n := len(k.tickets.byKey); n != 1 {
		t.Errorf("%d tickets kept after all have expired, want 1", n)
	}
}
