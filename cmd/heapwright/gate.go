package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
)

// maxGone bounds the mended leaks that are named.
const maxGone = 5

// gate decides whether what leaks found makes it fail, in continuous
// integration for example.
type gate struct {
	baseline, write, suppressions string // names of files
	failOn                        string

	known    *leak.Baseline     // nil: none
	accepted *leak.Suppressions // nil: none
	asked    bool               // a flag of the gate was given
}

// leastFailing is the least verdict that fails, by the words of --fail-on.
var leastFailing = map[string]leak.Verdict{"confirmed": leak.Confirmed, "suspect": leak.Suspect, "none": "none"}

func (g *gate) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&g.baseline, "baseline", "", "`FILE` of the leaks that are known: only others make it fail")
	f.StringVar(&g.write, "write-baseline", "", "write what leaks now to `FILE`, and let it not fail")
	f.StringVar(&g.suppressions, "suppressions", "", "`FILE` of accepted leaks and of caches")
	f.StringVar(&g.failOn, "fail-on", "confirmed", "`VERDICT` that fails: confirmed, suspect (either) or none, which leaves exit codes 2, 3 and 4")
}

// check validates the flags and reads the files, before any log is read.
func (g *gate) check(cmd *cobra.Command, in *input, out *output, logs []string) error {
	given := cmd.Flags().Changed
	g.asked = given("baseline") || given("suppressions") || given("fail-on")
	for flag, path := range map[string]string{"baseline": g.baseline, "write-baseline": g.write, "suppressions": g.suppressions} {
		if given(flag) && (path == "" || path == "-") {
			return usageError(cmd, fmt.Errorf("--%s needs the name of a file", flag))
		}
	}
	if _, ok := leastFailing[g.failOn]; !ok {
		return usageError(cmd, fmt.Errorf("--fail-on is confirmed, suspect or none, not %q", g.failOn))
	}
	if g.write != "" && given("fail-on") {
		return usageError(cmd, errors.New("--write-baseline accepts what leaks now: leave out --fail-on"))
	}
	if err := g.checkFiles(cmd, in, out, logs); err != nil {
		return err
	}
	if err := g.readBaseline(); err != nil {
		return err
	}
	return g.readSuppressions()
}

// checkFiles makes sure that what is read survives.
func (g *gate) checkFiles(cmd *cobra.Command, in *input, out *output, logs []string) error {
	for _, own := range []string{g.baseline, g.suppressions} {
		if out.toFile() && own != "" && sameFile(out.file, own) {
			return usageError(cmd, fmt.Errorf("-o %s would overwrite the input %s: give another name", out.file, own))
		}
	}
	if g.write == "" {
		return nil
	}
	if out.toFile() && sameFile(out.file, g.write) {
		return usageError(cmd, fmt.Errorf("-o and --write-baseline are the same file %s: give another name", g.write))
	}
	st, err := os.Stat(g.write)
	if err != nil {
		return nil
	}
	if st.IsDir() {
		return usageError(cmd, fmt.Errorf("--write-baseline %s is a directory: give the name of a file", g.write))
	}
	if st.Mode().IsRegular() && st.Mode().Perm()&0o200 == 0 {
		return fmt.Errorf("%s is write-protected: give --write-baseline another name", g.write)
	}
	for _, path := range append([]string{in.symbols, g.suppressions}, logs...) {
		if path == "" {
			continue
		}
		if given, err := stat(cmd, path); err == nil && os.SameFile(st, given) {
			return usageError(cmd, fmt.Errorf("--write-baseline %s would overwrite the input %s: give another name", g.write, named(path)))
		}
	}
	return nil
}

// sameFile reports whether two names are those of one file, which need not
// exist yet.
func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	if errX == nil && errY == nil {
		return os.SameFile(x, y)
	}
	return filepath.Clean(a) == filepath.Clean(b)
}

func (g *gate) readBaseline() error {
	if g.baseline == "" {
		return nil
	}
	f, err := openGate("--baseline", g.baseline, "write it first, with\n  heapwright leaks --write-baseline "+g.baseline+" LOG")
	if err != nil {
		return err
	}
	defer f.Close()
	if g.known, err = leak.ReadBaseline(f, g.baseline); err != nil {
		return fmt.Errorf("%w\nwrite it with --write-baseline %s", err, g.baseline)
	}
	return nil
}

func (g *gate) readSuppressions() error {
	if g.suppressions == "" {
		return nil
	}
	f, err := openGate("--suppressions", g.suppressions, "write one, with a line such as\n  leak:log_dup  max_nodes=100  # why that is acceptable")
	if err != nil {
		return err
	}
	defer f.Close()
	g.accepted, err = leak.ReadSuppressions(f, g.suppressions)
	return err
}

// openGate opens a file of the gate; advice says what to do if there is none.
func openGate(flag, path, advice string) (*os.File, error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no file %s: %s", flag, path, advice)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	if st, err := f.Stat(); err == nil && st.IsDir() {
		f.Close()
		return nil, fmt.Errorf("%s: %s is a directory: give the name of a file", flag, path)
	}
	return f, nil
}

// apply marks what is known and what is accepted in growth, and says what is
// to be said about the files themselves.
func (g *gate) apply(cmd *cobra.Command, in *input, out *output, growth *leak.Growth) {
	if g.accepted != nil {
		g.accepted.Apply(growth, time.Now())
	}
	if g.known != nil {
		g.known.Apply(growth)
	}
	if !growth.Conclusive() {
		return // nothing is known to leak, so nothing is known to be needed
	}
	if g.accepted != nil {
		for _, s := range g.accepted.Unused() {
			in.warn(cmd, out, s)
		}
	}
	if g.known == nil {
		return
	}
	gone := g.known.Gone()
	if why := g.otherNames(in, gone); why != "" {
		in.warn(cmd, out, why)
		return
	}
	if len(gone) > 0 {
		more := ""
		if n := len(gone) - maxGone; n > 0 {
			gone, more = gone[:maxGone], fmt.Sprintf("; and %d more", n)
		}
		in.warn(cmd, out, fmt.Sprintf("%s lists leaks that are not seen any more: %s%s: if they are mended, write it again with --write-baseline", g.baseline, strings.Join(gone, "; "), more))
	}
}

// otherNames says that the baseline and the call sites cannot be compared, as one
// of them has names of functions and the other has addresses; "" if they can.
func (g *gate) otherNames(in *input, gone []string) string {
	switch {
	case !g.known.Resolved() && in.symbols == "":
		return g.baseline + " lists functions, and without symbols there are none to compare with: give --symbols"
	case !g.known.Resolved():
		return g.baseline + " lists functions, and " + in.symbols + " names none in this log: give the symbols of the build that wrote it"
	case g.known.Addresses() > 0 && len(gone) > 0 && in.symbols != "":
		return g.baseline + " lists addresses, which change with every build: write it again with --symbols and --write-baseline"
	}
	return ""
}

// nameless counts the leaks that growth lists, and those of them none of whose
// levels has a name.
func nameless(growth *leak.Growth) (unresolved, leaking int) {
	for i := range growth.Sites {
		s := &growth.Sites[i]
		if s.Verdict != leak.Confirmed && s.Verdict != leak.Suspect || s.Suppressed != "" {
			continue
		}
		leaking++
		if len(s.Frames) > 0 && !slices.ContainsFunc(s.Frames, func(f heap.Frame) bool { return f.Function != "" }) {
			unresolved++
		}
	}
	return unresolved, leaking
}

// decide returns the outcome as an error with its exit code, nil for success.
// It writes the new baseline if one is asked for. A damaged heap is no leak that
// could be accepted: it fails whatever is said about leaks.
func (g *gate) decide(cmd *cobra.Command, in *input, growth *leak.Growth) error {
	reports := in.reports + in.damage
	damaged := func(but string) error {
		if in.reports == 0 {
			return exitError{exitCorruption, fmt.Errorf("%sthe dumped heap is damaged: %s", but, plain.Plural(in.damage, "finding"))}
		}
		return exitError{exitCorruption, fmt.Errorf("%sthe device reported a damaged heap or a wild pointer: %s", but, plain.Plural(in.reports, "report"))}
	}
	if g.write != "" {
		if err := g.accept(cmd, in, growth); err != nil || reports == 0 {
			return err
		}
		return damaged("a baseline accepts leaks only: ")
	}
	o := growth.Gate(leastFailing[g.failOn])
	var err error
	if g.asked {
		err = g.explain(o)
	}
	switch {
	case len(o.Failing) > 0:
		return exitError{exitLeak, err}
	case reports > 0:
		if g.failOn == "none" {
			return damaged("")
		}
		return damaged("no leak is confirmed, but ")
	case o.Inconclusive:
		return exitError{exitInconclusive, nil}
	}
	return nil
}

// explain says why the gate fails; nil if it does not.
func (g *gate) explain(o leak.Outcome) error {
	if len(o.Failing) == 0 {
		return nil
	}
	verdict := "confirmed"
	if g.failOn == "suspect" {
		verdict = "confirmed or suspected"
	}
	lacks := ""
	if g.known != nil {
		lacks = ", which " + g.baseline + " does not list"
	}
	return fmt.Errorf("%s%s", plain.Plural(len(o.Failing), verdict+" leak"), lacks)
}

// accept writes what leaks now as a baseline, but not under names that are
// wrong, or that are others in the next build.
func (g *gate) accept(cmd *cobra.Command, in *input, growth *leak.Growth) error {
	if in.doubtful != "" {
		return exitError{exitInput, fmt.Errorf("%s is not written: %s: give the symbols of the build that wrote the log", g.write, in.doubtful)}
	}
	if unresolved, leaking := nameless(growth); in.symbols == "" && unresolved*2 > leaking {
		return exitError{exitInput, fmt.Errorf("%s is not written: it would list addresses, which change with the next build: give --symbols", g.write)}
	}
	b := leak.NewBaseline(growth)
	if b.Len() == 0 && growth.Gate(leak.Suspect).Inconclusive {
		return exitError{exitInconclusive, fmt.Errorf("%s is not written: what leaks cannot be told from these listings: let the device run on, print more of them, and give that log too", g.write)}
	}
	if err := replaceFile(g.write, func(w io.Writer) error { return b.Write(w) }); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "heapwright: %s: %s written\n", g.write, plain.Plural(b.Len(), "leak"))
	return nil
}
