package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"agentzero/auth"
	"agentzero/client"
	"agentzero/config"
)

// terminalPrefix begins the names of the tokens that this program makes for
// itself.
const terminalPrefix = "terminal-"

// connect finds a gateway and a token for it. end gives back what was made.
func (a *app) connect(ctx context.Context, f chatFlags) (c *client.Client, end func(), err error) {
	conf, err := a.loadConfig()
	if err != nil {
		return nil, nil, err
	}
	none := func() {}
	c = &client.Client{Token: firstOf(f.token, a.getenv(tokenVariable), conf.Gateway.BearerToken.Reveal()), HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2}}}
	c.Address = func() (string, error) { return gatewayAddress(conf) }
	if f.url != "" {
		url := strings.TrimSuffix(strings.TrimRight(f.url, "/"), "/v1")
		c.Address = func() (string, error) { return url, nil }
	}
	err = c.Ping(ctx)
	var refused *client.Error
	switch {
	case err == nil:
		return c, none, nil
	case !errors.As(err, &refused):
		return nil, nil, fmt.Errorf("no gateway answers: %w; \"agentzero daemon start\" starts one", err)
	case refused.Status != http.StatusUnauthorized:
		return nil, nil, err
	case f.url != "":
		return nil, nil, fmt.Errorf("%s asks for a token: give it as %s", f.url, tokenVariable)
	}
	end, err = a.borrowToken(ctx, conf, c)
	return c, end, err
}

func (a *app) getenv(name string) string {
	if a.environ == nil {
		return os.Getenv(name)
	}
	for _, variable := range a.environ {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return ""
}

// borrowToken makes a token in the data directory, as whoever can write there may,
// and waits until the gateway knows it. It is kept nowhere and revoked at the end;
// one that a killed process has left behind is revoked by the next, a day after
// its last use.
func (a *app) borrowToken(ctx context.Context, conf *config.Config, c *client.Client) (end func(), err error) {
	file := auth.NewFile(conf.DataDir)
	if tokens, err := file.List(); err == nil {
		for _, t := range tokens {
			if strings.HasPrefix(t.Name, terminalPrefix) && time.Since(latest(t.Created, t.LastUsed)) > 24*time.Hour {
				_, _ = file.Revoke(t.ID) // another may have been quicker
			}
		}
	}
	secret, t, err := file.Create(auth.NewToken{Name: terminalPrefix + strings.ToLower(rand.Text()[:8]), Scopes: auth.ScopeChat})
	if err != nil {
		return nil, err
	}
	end = func() { _, _ = file.Revoke(t.ID) } // it may have been revoked by hand
	c.Token = secret
	for deadline := time.Now().Add(askPatience); ; time.Sleep(20 * time.Millisecond) {
		err := c.Ping(ctx)
		if err == nil {
			return end, nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			end()
			return nil, fmt.Errorf("the gateway does not take a token made in %s (does it run on another data directory?): %w", conf.DataDir, err)
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
