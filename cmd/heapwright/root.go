package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/heapwright/heapwright/internal/plain"
)

// Exit codes of every verb.
const (
	exitClean        = 0
	exitLeak         = 1   // a leak is confirmed
	exitInput        = 2   // usage, or input that cannot be read
	exitCorruption   = 3   // the heap is damaged
	exitInconclusive = 4   // not enough to compare
	exitInterrupted  = 130 // as a shell counts Ctrl-C
	exitTerminated   = 143 // and SIGTERM
)

// verbs are the commands in the order of the help text.
func verbs() []*cobra.Command {
	return []*cobra.Command{
		newLeaks(),
		newMemused(),
		newDiff(),
		newMemcheck(),
		newExplain(),
		newMap(),
		newMenuconfig(),
		newConfig(),
		newDemo(),
		newVersion(),
	}
}

func newRoot() *cobra.Command {
	cobra.EnableCommandSorting = false
	root := &cobra.Command{
		Use:   "heapwright",
		Short: "Find memory leaks and heap damage in the logs and dumps of devices",
		Long: `Find memory leaks and heap damage in the console logs and RAM dumps of devices.

Logs: build with LOSCFG_MEM_LEAKCHECK, capture the serial console to a file, and
type memused a few times while the device works. Then:

  heapwright leaks console.log --symbols firmware.elf

Dumps: of a device that is dead or silent, save the RAM with a debugger. Then:

  heapwright memcheck ram.bin --symbols firmware.elf

heapwright memcheck also explains what a log says about a damaged heap. Logs of
OpenHarmony, NuttX, ESP-IDF, RT-Thread and Zephyr are read, too.

heapwright demo shows the same on a small program, without a device.

SOURCE is a console log, or memory: a raw RAM dump (ram.bin, or with its address
ram.bin@0x80000000), an ELF core, Intel HEX or S-records; any of them may be
packed with gzip; or - for standard input. Pieces of one memory are joined with
commas: core,sram.bin@0x20000000. FILE for --symbols is the ELF file of the
firmware, what nm -n -S -C printed of it, or the linker's map file.

Exit codes: 0 clean, 1 leak confirmed, 2 wrong usage or unreadable input,
3 corruption found, 4 inconclusive.`,
		Version: version(),
		Args: func(root *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownVerb(root, args[0])
			}
			return nil
		},
		RunE:                  func(root *cobra.Command, _ []string) error { return root.Help() },
		DisableFlagsInUseLine: true,
		SilenceErrors:         true,
		SilenceUsage:          true,
	}
	root.SetVersionTemplate("heapwright {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(help)
	root.SetHelpCommand(newHelp(root))
	root.SuggestionsMinimumDistance = 2
	root.AddCommand(verbs()...)
	return root
}

func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [VERB]",
		Short:   "Explain a verb",
		Example: "  heapwright help leaks",
		RunE: func(_ *cobra.Command, words []string) error {
			cmd, rest, err := root.Find(words)
			if err != nil || len(rest) > 0 {
				return unknownVerb(root, words[0])
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

// unknownVerb complains about a verb. Who gives a file instead means leaks or, of
// memory, memcheck.
func unknownVerb(root *cobra.Command, verb string) error {
	hint := ""
	if like := root.SuggestionsFor(verb); len(like) > 0 {
		hint = fmt.Sprintf(": did you mean %s?", like[0])
	} else if st, err := os.Stat(verb); err == nil && st.Mode().IsRegular() {
		hint = fmt.Sprintf(", but a file: try heapwright %s %s", verbFor(verb, st.Size()), verb)
	}
	return usageError(root, fmt.Errorf("%q is not a verb%s", verb, hint))
}

// verbFor returns the verb that shows most of what a file holds.
func verbFor(path string, size int64) string {
	f, err := os.Open(path)
	if err != nil {
		return "leaks"
	}
	defer f.Close()
	if memory, err := isMemoryFile(f, size); err == nil && memory {
		return "memcheck"
	}
	return "leaks"
}

// flagError says what a flag wants in place of what parsing it said.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		name := unknown.GetSpecifiedName()
		if short, _, _ := strings.Cut(unknown.GetSpecifiedShortnames(), "="); len(short) > 1 { // -symbols
			name = short
		}
		if like := flagLike(cmd, name); like != "" {
			err = fmt.Errorf("%w: did you mean --%s?", err, like)
		}
		return usageError(cmd, err)
	}
	what, why, ok := strings.Cut(err.Error(), " flag: ")
	var syntax *strconv.NumError
	want := "a number"
	switch {
	case !ok:
		return usageError(cmd, err)
	case strings.HasPrefix(why, "time:"):
		want = "a time such as 3s or 1m"
	case !errors.As(err, &syntax):
		return usageError(cmd, err)
	case syntax.Func == "ParseBool":
		want = "true or false"
	}
	return usageError(cmd, fmt.Errorf("%s: give %s", what, want))
}

// flagLike returns the flag of cmd that somebody may have meant by a name, "" if
// there is none.
func flagLike(cmd *cobra.Command, name string) string {
	// Cobra finds similar verbs only, so flags go as verbs.
	verbs := &cobra.Command{SuggestionsMinimumDistance: 2}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		verbs.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
	})
	if like := verbs.SuggestionsFor(name); len(like) > 0 && len(name) > 1 {
		return like[0]
	}
	return ""
}

// run executes the command line and returns the exit code.
func run(args []string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	root := newRoot()
	root.SetArgs(args)
	done := make(chan error, 1)
	go func() { done <- root.ExecuteContext(ctx) }()
	stopped := exitInterrupted
	select {
	case err := <-done:
		return finish(root, err)
	case s := <-signals:
		if s == syscall.SIGTERM {
			stopped = exitTerminated
		}
	}
	cancel()
	// Verbs end at the next opportunity, and those that have an answer by then
	// give it; but what waits for standard input may never come to it. A second
	// signal ends the program at once.
	select {
	case err := <-done:
		if code := finish(root, err); code != exitInterrupted {
			return code
		}
	case <-signals:
	case <-time.After(time.Second):
	}
	signal.Stop(signals)
	pending.abandon()
	return stopped
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
	complain(root.ErrOrStderr(), fmt.Sprintf("heapwright: %v", err))
	if code.code != 0 {
		return code.code
	}
	return exitInput
}

// complain prints a message, on a terminal broken at blanks. Indented lines are
// commands to be copied and stay whole.
func complain(w io.Writer, message string) {
	width := 0
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		width, _, _ = term.GetSize(int(f.Fd()))
	}
	for line := range strings.Lines(message + "\n") {
		fmt.Fprintln(w, fold(strings.TrimSuffix(line, "\n"), width))
	}
}

// fold breaks a line at blanks so that it fits into width, if that is not 0.
func fold(line string, width int) string {
	if strings.HasPrefix(line, " ") {
		return line
	}
	return plain.Wrap(line, width, 0, 0)
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
			return usageError(cmd, fmt.Errorf("which source? %s needs %s", cmd.Name(), what))
		}
		return usageError(cmd, fmt.Errorf("%s needs %s, not %d arguments", cmd.Name(), what, len(given)))
	}
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, given []string) error {
	if len(given) > 0 {
		return usageError(cmd, fmt.Errorf("%s takes no argument %q", cmd.Name(), given[0]))
	}
	return nil
}

func brokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) || isBrokenPipe(err) }
