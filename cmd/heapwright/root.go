package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// Exit codes of every verb.
const (
	exitClean        = 0
	exitInput        = 2   // usage, or input that cannot be read
	exitInconclusive = 4   // not enough to compare
	exitInterrupted  = 130 // as a shell counts Ctrl-C
)

// verbs are the commands in the order of the help text.
func verbs() []*cobra.Command {
	return []*cobra.Command{
		newLeaks(),
		newMemused(),
		newDiff(),
		newDemo(),
		newVersion(),
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "heapwright",
		Short: "Find memory leaks in what a device prints on its console",
		Long: `Find memory leaks in what a device prints on its console.

On the device, build with LOSCFG_MEM_LEAKCHECK, capture the serial console to a
file, and type memused a few times while the device works. Then:

  heapwright leaks console.log --symbols firmware.elf

LOG is a console log, or - for standard input. FILE for --symbols is the ELF
file of the firmware, or what nm -n -S -C printed of it.

Exit codes: 0 clean, 1 leak confirmed, 2 wrong usage or unreadable input,
3 corruption found, 4 inconclusive. Growth alone confirms no leak and exits 0.`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("heapwright {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usageError(cmd, err) })
	root.AddCommand(verbs()...)
	return root
}

// run executes the command line and returns the exit code.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	done := make(chan error, 1)
	go func() { done <- root.ExecuteContext(ctx) }()
	select {
	case err := <-done:
		return finish(root, err)
	case <-ctx.Done():
	}
	// Reading stops at the next block; standard input may never come to it.
	select {
	case <-done:
	case <-time.After(500 * time.Millisecond):
	}
	return exitInterrupted
}

// finish prints err, if it is worth a message, and returns its exit code.
func finish(root *cobra.Command, err error) int {
	var code exitError
	switch {
	case err == nil, brokenPipe(err):
		return exitClean
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &code) && code.err == nil:
		return code.code
	}
	fmt.Fprintf(root.ErrOrStderr(), "heapwright: %v\n", err)
	if code.code != 0 {
		return code.code
	}
	return exitInput
}

// exitError ends the command with a code; without an error, in silence.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

var errInconclusive = exitError{code: exitInconclusive}

func usageError(cmd *cobra.Command, err error) error {
	return fmt.Errorf("%w\nSee '%s --help' for usage and examples", err, cmd.CommandPath())
}

// args checks the number of arguments, 0 for most meaning any.
func args(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if len(given) >= least && (most == 0 || len(given) <= most) {
			return nil
		}
		if len(given) == 0 {
			return usageError(cmd, fmt.Errorf("which log? %s needs %s", cmd.Name(), what))
		}
		return usageError(cmd, fmt.Errorf("%s needs %s, not %d arguments", cmd.Name(), what, len(given)))
	}
}

func brokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) || isBrokenPipe(err) }
