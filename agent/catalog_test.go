package agent

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// listerFunc is a Lister.
type listerFunc func(context.Context) ([]Model, error)

func (f listerFunc) Models(ctx context.Context) ([]Model, error) { return f(ctx) }

func TestCatalogAsksWhenItsListIsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c := NewCatalog(listerFunc(func(context.Context) ([]Model, error) {
			asked++
			return []Model{{ID: "m", Created: int64(asked)}}, nil
		}), CatalogOptions{})
		for _, step := range []struct {
			wait time.Duration
			want int
		}{{0, 1}, {59 * time.Second, 1}, {time.Second, 2}, {time.Hour, 3}, {0, 3}} {
			time.Sleep(step.wait)
			m, err := c.Model(t.Context(), "m")
			if err != nil || asked != step.want || m.Created != int64(step.want) {
				t.Errorf("%s later: asked %d times, want %d (%+v, %v)", step.wait, asked, step.want, m, err)
			}
		}
	})
}

func TestCatalogServesAnOldListWhileAskingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fault error
		asked := 0
		c := NewCatalog(listerFunc(func(context.Context) ([]Model, error) {
			asked++
			return []Model{{ID: "m"}}, fault
		}), CatalogOptions{})
		fault = &Error{Kind: KindConnect, Message: "down"}
		if _, err := c.Models(t.Context()); !errors.Is(err, fault) {
			t.Errorf("with no list: %v", err)
		}
		fault = nil
		if _, err := c.Models(t.Context()); err != nil {
			t.Fatal(err)
		}
		fault = &Error{Kind: KindConnect, Message: "down"}
		time.Sleep(9 * time.Minute)
		for range 2 {
			if models, err := c.Models(t.Context()); err != nil || len(models) != 1 {
				t.Errorf("with an old list: %v, %v", models, err)
			}
		}
		if asked != 4 {
			t.Errorf("asked %d times, want 4: each call tries again", asked)
		}
		time.Sleep(time.Minute + time.Second)
		if _, err := c.Models(t.Context()); !errors.Is(err, fault) {
			t.Errorf("with too old a list: %v", err)
		}
	})
}

func TestCatalogIsAskedByOneAtATime(t *testing.T) {
	for _, fault := range []error{nil, errors.New("down")} {
		synctest.Test(t, func(t *testing.T) {
			var asked, failed atomic.Int32
			proceed := make(chan struct{})
			c := NewCatalog(listerFunc(func(context.Context) ([]Model, error) {
				asked.Add(1)
				<-proceed
				return []Model{{ID: "m"}}, fault
			}), CatalogOptions{})
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					if _, err := c.Models(t.Context()); err != nil {
						failed.Add(1)
					}
				})
			}
			synctest.Wait()
			close(proceed)
			wg.Wait()
			if asked.Load() != 1 || (failed.Load() == 50) != (fault != nil) {
				t.Errorf("asked %d times, %d calls failed with %v", asked.Load(), failed.Load(), fault)
			}
		})
	}
}

func TestCatalogCallerMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		c := NewCatalog(listerFunc(func(ctx context.Context) ([]Model, error) {
			if asked.Add(1) == 1 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return []Model{{ID: "m"}}, nil
		}), CatalogOptions{Timeout: time.Hour})
		first, leave := context.WithCancel(t.Context())
		second, leaveToo := context.WithCancel(t.Context())
		errs := make(chan error, 2)
		go func() { _, err := c.Models(first); errs <- err }()
		synctest.Wait()
		go func() { _, err := c.Models(second); errs <- err }()
		synctest.Wait()
		leaveToo()
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("who waited and left: %v", err)
		}
		third := make(chan error)
		go func() { _, err := c.Models(t.Context()); third <- err }()
		synctest.Wait()
		leave()
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("who asked and left: %v", err)
		}
		if err := <-third; err != nil || asked.Load() != 2 {
			t.Errorf("who stayed: %v after %d askings", err, asked.Load())
		}
	})
}

func TestCatalogTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCatalog(listerFunc(func(ctx context.Context) ([]Model, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}), CatalogOptions{})
		start := time.Now()
		_, err := c.Models(t.Context())
		var e *Error
		if !errors.As(err, &e) || e.Kind != KindTimeout || time.Since(start) != 5*time.Second {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}

func TestCatalogHasNoSuchModel(t *testing.T) {
	c := NewCatalog(NewDemo(DemoOptions{}), CatalogOptions{})
	_, err := c.Model(t.Context(), "gpt")
	var e *Error
	if !errors.As(err, &e) || e.Kind != KindNotFound {
		t.Errorf("error %v", err)
	}
	if m, err := c.Model(t.Context(), "demo"); err != nil || m.OwnedBy != "agentzero" {
		t.Errorf("%+v, %v", m, err)
	}
}
