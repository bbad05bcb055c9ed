package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"agentzero/auth"
)

func newTokenCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "List, create and revoke tokens",
		Long: `List, create and revoke the tokens of the data directory. A gateway that runs
takes up each change at once: it is not restarted, and what a revoked token had
open ends. The fixed token of the environment is not among them.`,
	}
	cmd.AddCommand(newTokenListCommand(a), newTokenCreateCommand(a), newTokenRevokeCommand(a))
	return cmd
}

// tokenFile is the token file of the gateway that the command line means.
func (a *app) tokenFile() (*auth.File, error) {
	c, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	return auth.NewFile(c.DataDir), nil
}

func newTokenListCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the tokens; the tokens themselves are not kept",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			file, err := a.tokenFile()
			if err != nil {
				return err
			}
			tokens, err := file.List()
			switch {
			case err != nil:
				return err
			case asJSON:
				return writeJSON(a.stdout, tokens)
			case len(tokens) == 0:
				_, err = fmt.Fprintf(a.stderr, "There are no tokens in %s: pair a device, or run \"agentzero token create\".\n", file.Path())
				return err
			default:
				return writeTokens(a.stdout, tokens)
			}
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func writeTokens(w io.Writer, tokens []auth.Token) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tNAME\tOWNER\tSCOPES\tKIND\tCREATED\tLAST USED")
	for _, t := range tokens {
		used := "never"
		if !t.LastUsed.IsZero() {
			used = t.LastUsed.Format(time.RFC3339)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Name, t.Owner, t.Scopes, t.Kind, t.Created.Format(time.RFC3339), used)
	}
	return table.Flush()
}

func newTokenCreateCommand(a *app) *cobra.Command {
	var spec auth.NewToken
	var scopes string
	cmd := &cobra.Command{
		Use:   "create --name NAME",
		Short: "Create a token and print it, this once",
		Long: `Create a token and print it. It is printed this once and kept nowhere: only its
hash is stored. Standard output holds the token and nothing else.`,
		Example: `  agentzero token create --name ci --owner ci@example.org --scope chat
  TOKEN=$(agentzero token create --name backup --scope admin)`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			var err error
			if spec.Scopes, err = auth.ParseScopes(scopes); err != nil {
				return &usageError{err.Error()}
			}
			return a.createToken(spec)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&spec.Name, "name", "", "what to call the token; no other may have the `name`")
	flags.StringVar(&spec.Owner, "owner", auth.DefaultOwner, "whose sessions the token sees: 1 to 64 of A-Z a-z 0-9 . _ @ -")
	flags.StringVar(&scopes, "scope", auth.DeviceScopes.String(), "what the token may do: chat, webhook, both with a comma between, or admin for all")
	mustComplete(cmd.MarkFlagRequired("name"))
	mustComplete(cmd.RegisterFlagCompletionFunc("scope", cobra.FixedCompletions([]cobra.Completion{"chat", "webhook", "chat,webhook", "admin"}, cobra.ShellCompDirectiveNoFileComp)))
	mustComplete(cmd.RegisterFlagCompletionFunc("name", cobra.NoFileCompletions))
	mustComplete(cmd.RegisterFlagCompletionFunc("owner", cobra.NoFileCompletions))
	return cmd
}

func (a *app) createToken(spec auth.NewToken) error {
	file, err := a.tokenFile()
	if err != nil {
		return err
	}
	secret, t, err := file.Create(spec)
	if errors.Is(err, auth.ErrName) || errors.Is(err, auth.ErrOwner) {
		return &usageError{err.Error()}
	}
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(a.stdout, secret); err != nil {
		return fmt.Errorf("token %s was created but could not be printed, revoke it: %w", t.ID, err)
	}
	_, err = fmt.Fprintf(a.stderr, "Created %s for %s with the scopes %s. The token is shown only now; keep it safe.\n", t.ID, t.Owner, t.Scopes)
	return err
}

func newTokenRevokeCommand(a *app) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "revoke ID|NAME",
		Short: "Revoke a token and end what it has open",
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case all && len(args) > 0:
				return errors.New("--all revokes every token and takes no ID or NAME")
			case !all && len(args) != 1:
				return errors.New("name the token by its ID or NAME, or give --all")
			}
			return nil
		},
		ValidArgsFunction: a.completeTokens,
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := a.tokenFile()
			if err != nil {
				return err
			}
			if all {
				return a.revokeAllTokens(file)
			}
			return a.revokeToken(file, args[0])
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "revoke every token")
	return cmd
}

func (a *app) revokeToken(file *auth.File, idOrName string) error {
	t, err := file.Revoke(idOrName)
	if errors.Is(err, auth.ErrNotFound) || errors.Is(err, auth.ErrAmbiguous) {
		return fmt.Errorf("%w; \"agentzero token list\" shows the tokens", err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "Revoked %s (%s).\n", t.ID, t.Name)
	return err
}

func (a *app) revokeAllTokens(file *auth.File) error {
	n, err := file.RevokeAll()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "Revoked tokens: %d.\n", n)
	return err
}

// completeTokens offers the ids, with the names to tell them apart.
func (a *app) completeTokens(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	file, err := a.tokenFile()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	tokens, err := file.List()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ids := make([]cobra.Completion, len(tokens))
	for i, t := range tokens {
		ids[i] = cobra.CompletionWithDesc(t.ID, t.Name)
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
