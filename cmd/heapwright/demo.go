package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/config"
	"github.com/heapwright/heapwright/internal/demo"
	"github.com/heapwright/heapwright/shell"
)

func newDemo() *cobra.Command {
	var cfg demo.Config
	console := false
	features := ""
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch a leak and an overflow being found in a small program",
		Long: `Run a small program on the memory manager, a cache with two bugs, and find them:
a mark and a diff show who leaks; the pool notices that a header was
overwritten, restores it, and tells who wrote beyond a buffer. The commands
shown are those of the program's console; --shell lets you type yourself.
Ctrl-C ends the program early and shows what there is by then.

The pool has the features that the tour shows, unless --config or the variable
HEAPWRIGHT_CONFIG names a configuration made with menuconfig; others, such as
HEAPWRIGHT_MEM_HEAD_BACKUP=n, override either.

Exit codes: 0 shown, 2 wrong usage.`,
		Example: `  heapwright demo
  heapwright demo --shell
  heapwright demo --duration 1m --leak=false
  heapwright demo --ops 20000 --seed 7 --overflow=false
  heapwright demo --config pool.config`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("ops") && cfg.Ops <= 0 {
				return usageError(cmd, errors.New("--ops is a number of operations from 1"))
			}
			if cfg.Duration <= 0 {
				return usageError(cmd, errors.New("--duration is a time such as 3s or 1m"))
			}
			pool, err := demoPool(cmd, features)
			if err != nil {
				return err
			}
			cfg.Pool = &pool
			cfg.Out = cmd.OutOrStdout()
			cfg.Width, _ = terminal(cfg.Out)
			cfg.Width = min(cfg.Width, 100) // longer lines of prose are hard to read
			if cfg.Duration > 2*time.Second && term.IsTerminal(int(os.Stderr.Fd())) {
				cfg.Progress = os.Stderr
			}
			return runDemo(cmd, cfg, console)
		},
	}
	f := cmd.Flags()
	f.DurationVar(&cfg.Duration, "duration", 3*time.Second, "run the program for this `TIME`")
	f.IntVar(&cfg.Ops, "ops", 0, "run the program for `N` operations, as fast as they go, instead of a time")
	f.Uint64Var(&cfg.Seed, "seed", 1, "`NUMBER` that determines the operations")
	f.BoolVar(&cfg.Bugs.Leak, "leak", true, "let the program leak")
	f.BoolVar(&cfg.Bugs.Overflow, "overflow", true, "let the program write beyond a buffer")
	f.StringVar(&features, "config", "", "the pool's configuration `FILE`, made with menuconfig")
	f.BoolVar(&console, "shell", false, "open the console on the program's pool afterwards")
	return cmd
}

// demoPool returns the configuration of the demo's pool.
func demoPool(cmd *cobra.Command, file string) (heapwright.Config, error) {
	defaults := demo.Features()
	var cfg heapwright.Config
	var warnings []string
	var err error
	if file != "" || os.Getenv(config.FileVariable) != "" {
		cfg, warnings, err = config.Load(file)
	} else {
		cfg, warnings, err = config.Override(defaults)
	}
	for _, w := range warnings {
		complain(cmd.ErrOrStderr(), "heapwright: warning: "+w)
	}
	if cfg.Name == "" {
		cfg.Name = defaults.Name
	}
	if cfg.MaxSize == 0 {
		cfg.MaxSize = defaults.MaxSize
	}
	return cfg, err
}

func runDemo(cmd *cobra.Command, cfg demo.Config, console bool) error {
	d, err := demo.New(cfg)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Run(cmd.Context()); err != nil {
		return err
	}
	// After Ctrl-C nobody wants to be asked more.
	if !console || cmd.Context().Err() != nil {
		return nil
	}
	if _, err := fmt.Fprintln(cfg.Out); err != nil {
		return err
	}
	// A signal ends the command in the middle of the console.
	stdin := int(os.Stdin.Fd())
	if state, err := term.GetState(stdin); err == nil {
		stop := context.AfterFunc(cmd.Context(), func() { term.Restore(stdin, state) })
		defer stop()
	}
	return d.Shell().Run(shell.Files(os.Stdin, os.Stdout))
}
