package config_test

import (
	"fmt"
	"os"
	"path/filepath"

	"agentzero/config"
)

func ExampleLoad() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, config.FileName)
	if err := os.WriteFile(file, []byte(`
[gateway]
port = 8080

[agent]
provider = "mine"

[providers.mine]
kind = "openai"
base_url = "http://127.0.0.1:1234/v1"
api_key = "env:MY_KEY"
`), 0o600); err != nil {
		panic(err)
	}

	c, err := config.Load(config.Options{
		File:      file,
		Environ:   []string{"HOME=" + dir, "MY_KEY=secret", "AGENTZERO_LOG__LEVEL=debug"},
		Overrides: []config.Override{{Key: "gateway.port", Value: "9090", Flag: "--port"}},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(c.Gateway.Address(), c.Origin("gateway.port"))
	fmt.Println(c.Log.Level, c.Origin("log.level"))
	fmt.Println(c.Providers["mine"].APIKey, c.Providers["mine"].MaxRetries)
	// Output:
	// 127.0.0.1:9090 flag:--port
	// DEBUG env:AGENTZERO_LOG__LEVEL
	// *** 2
}

// All that is wrong is told at once.
func ExampleLoad_errors() {
	_, err := config.Load(config.Options{Environ: []string{
		"HOME=/home/me",
		"AGENTZERO_GATEWAY__PROT=8080",
		"AGENTZERO_LOG__LEVEL=loud",
	}})
	fmt.Println(err)
	// Output:
	// AGENTZERO_GATEWAY__PROT: names no key; did you mean AGENTZERO_GATEWAY__PORT?
	// AGENTZERO_LOG__LEVEL: log.level: got "loud", want one of "debug", "info", "warn", "error"
}

func ExampleDiff() {
	load := func(environ ...string) *config.Config {
		c, err := config.Load(config.Options{Environ: append(environ, "HOME=/home/me")})
		if err != nil {
			panic(err)
		}
		return c
	}
	changes := config.Diff(load(), load("AGENTZERO_GATEWAY__PORT=8080", "AGENTZERO_LOG__LEVEL=debug"))
	fmt.Println("now:", changes.Live)
	fmt.Println("after a restart:", changes.Restart)
	// Output:
	// now: [log.level]
	// after a restart: [gateway.port]
}

func ExampleSecret() {
	key := config.NewSecret("sk-123")
	fmt.Printf("%v %+v %#v %d\n", key, key, key, []config.Secret{key})
	fmt.Println(key.Reveal())
	// Output:
	// *** *** config.Secret("***") [***]
	// sk-123
}
