package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/heapwright/heapwright/console"
	"github.com/heapwright/heapwright/damage"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
	"github.com/heapwright/heapwright/symbol"
)

// input is what a verb reads: logs, and the symbols that belong to them.
type input struct {
	symbols  string
	memory   memoryFlags     // of dumps
	table    *symbol.Table   // of --symbols; nil: none
	loaded   *symbol.Shifted // the same where it lay in the dump being read
	program  heap.Program    // the same, or nil
	marks    []string        // texts to look for in front of listings
	notes    []string        // what the sources have to say, complete when all is read
	warnings []string        // what puts the answer in doubt
	doubtful string          // why the symbols look like those of another build; empty: they do not
	// monitor has the functions that a log itself names; nil with --symbols.
	monitor  *console.Names
	held     *source // that take returns next
	clock    clock   // of the listings so far
	count    int     // listings so far
	restarts int     // of the device, between listings
	boots    int     // restarts in the logs before the one being read
	// names resolves stacks in what is kept of the device's own reports about
	// its heap; nil: nothing is kept, they are only counted.
	names    heap.Symbolizer
	findings []heap.Finding // up to maxFindings
	reports  int            // all
	// damage counts what is wrong with the heaps in dumps; dumped of findings
	// are about that.
	damage, dumped int
	said           map[string]bool // of dumps
	layout         string          // of the last dump
	lastDump       string          // its name
	keep           bool            // leave the last dump open
	kept           *dump           // the same
	brief          bool            // notes on dumps are to be short
}

func (in *input) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&in.symbols, "symbols", "", "firmware's symbols: its ELF `FILE`, nm -n -S -C text or the linker's map file; of exactly the build on the device")
	in.memory.flags(cmd)
}

// check validates what is given before anything is read.
func (in *input) check(cmd *cobra.Command, logs []string) error {
	switch {
	case in.symbols == "" && cmd.Flags().Changed("symbols"):
		return usageError(cmd, errors.New("--symbols needs the name of a file: the firmware's ELF file or nm text"))
	case in.symbols == "-":
		return usageError(cmd, errors.New("--symbols cannot be read from standard input: give the name of a file"))
	}
	if err := in.memory.check(cmd, logs); err != nil {
		return err
	}
	logs = inputFiles(logs)
	for i, path := range logs {
		st, err := stat(cmd, path)
		for _, before := range logs[:i] {
			same := path == before
			if err == nil && st.Mode().IsRegular() && !same {
				other, err := stat(cmd, before)
				same = err == nil && os.SameFile(st, other)
			}
			switch {
			case same && path == before:
				return usageError(cmd, fmt.Errorf("%s is given twice: it has nothing to tell about itself", named(path)))
			case same:
				return usageError(cmd, fmt.Errorf("%s and %s are the same file: it has nothing to tell about itself", named(before), named(path)))
			}
		}
	}
	return nil
}

// stat is os.Stat for what open opens.
func stat(cmd *cobra.Command, path string) (fs.FileInfo, error) {
	if path != "-" {
		return os.Stat(path)
	}
	if f, ok := cmd.InOrStdin().(*os.File); ok {
		return f.Stat()
	}
	return nil, fs.ErrInvalid
}

// named is what messages call a log.
func named(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}

// symbolizer opens the file of --symbols. Without it, names are those that the
// logs themselves give.
func (in *input) symbolizer() (heap.Symbolizer, error) {
	if in.symbols == "" {
		in.monitor = new(console.Names)
		return in.monitor, nil
	}
	t, err := symbol.Open(in.symbols)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("--symbols: there is no file %s: give the firmware's ELF file", in.symbols)
	case errors.Is(err, symbol.ErrUnknownFormat):
		return nil, fmt.Errorf("--symbols: %w: give the firmware's ELF file, or make text of it with\n  nm -n -S -C firmware.elf > firmware.nm.txt", err)
	case err != nil:
		if st, e := os.Stat(in.symbols); e == nil && st.IsDir() {
			return nil, fmt.Errorf("--symbols: %s is a directory: give the firmware's ELF file in it", in.symbols)
		}
		return nil, fmt.Errorf("--symbols: %w", err)
	}
	in.table = t
	in.move(0)
	return t, nil
}

// checkSymbols warns about symbols that do not belong to the log, and about
// there being none.
func (in *input) checkSymbols(cmd *cobra.Command, out *output, sym heap.Symbolizer, stacks []heap.Stack) {
	if !slices.ContainsFunc(stacks, func(s heap.Stack) bool { return len(s) > 0 }) {
		return
	}
	if in.symbols == "" {
		in.notes = append(in.notes, monitored(in.monitor, stacks))
		return
	}
	if in.doubtful = in.doubt(sym, stacks); in.doubtful != "" {
		in.warn(cmd, out, in.doubtful)
	}
	t := tableOf(sym)
	if t == nil {
		return
	}
	switch {
	case t.Lines():
	case t.ELF():
		in.notes = append(in.notes, "functions only, no files and lines: "+in.symbols+" has no debug information (compile with -g)")
	default:
		in.notes = append(in.notes, "functions only, no files and lines: those are in the firmware's ELF file")
	}
	if partial := t.Partial(); partial != "" {
		in.warn(cmd, out, in.symbols+": "+partial)
	}
}

// monitored says which addresses have names if only the log gives any.
func monitored(names *console.Names, stacks []heap.Stack) string {
	named, all := symbol.Coverage(names, stacks)
	switch named {
	case 0:
		return "addresses have no names: give the firmware's ELF file or nm text with --symbols"
	case all:
		return "names and lines of functions are those that the monitor wrote into the log"
	}
	return fmt.Sprintf("the log itself names %d of %d return addresses; give the firmware's ELF file with --symbols for all", named, all)
}

// warn adds a warning to the document, and says it on standard error, unless
// the document is text that the same person reads.
func (in *input) warn(cmd *cobra.Command, out *output, warning string) {
	in.warnings = append(in.warnings, warning)
	if f, ok := cmd.OutOrStdout().(*os.File); ok && out.format == "text" && !out.toFile() && term.IsTerminal(int(f.Fd())) {
		return
	}
	complain(cmd.ErrOrStderr(), "heapwright: warning: "+plain.Clean(warning))
}

// remarks returns what is to be said in documents that do not tell warnings
// from notes.
func (in *input) remarks() []string { return slices.Concat(in.warnings, in.notes) }

// sayReports says that the device has complained about its heap, where the
// document does not show that itself.
func (in *input) sayReports(cmd *cobra.Command, out *output) {
	say := func(s string) {
		if out.format == "collapsed" { // it has no place for notes
			in.warn(cmd, out, s)
		} else {
			in.notes = append(in.notes, s)
		}
	}
	if in.reports > 0 {
		say("the device reported a damaged heap or a wild pointer, " + plain.Plural(in.reports, "report") + ": heapwright memcheck explains them")
	}
	if in.damage > 0 {
		say("the dumped heap is damaged, " + plain.Plural(in.damage, "finding") + ": heapwright memcheck explains them")
	}
}

// damaged is the exit code of a device that has complained about its heap, or
// whose dumped heap is damaged; nil if neither is so.
func (in *input) damaged() error {
	if in.reports+in.damage > 0 {
		return exitError{code: exitCorruption}
	}
	return nil
}

// sayLeftOut says how many of the device's reports were not kept.
func (in *input) sayLeftOut() {
	if n := in.reports - (len(in.findings) - in.dumped); n > 0 {
		in.notes = append(in.notes, fmt.Sprintf("%s behind the first %d left out", plain.Plural(n, "report"), maxFindings))
	}
}

// fewCalls is how many return addresses must have been looked at for some that
// follow no call to be a sign.
const fewCalls = 5

// doubt says why the symbols look like those of another program or build; ""
// if they do not.
func (in *input) doubt(sym heap.Symbolizer, stacks []heap.Stack) string {
	resolved, total := symbol.Coverage(sym, stacks)
	if strangers(resolved, total) {
		return fmt.Sprintf("%s of %d return addresses lie in functions of %s: it is probably not the program that was running", few(resolved), total, in.symbols)
	}
	t := tableOf(sym)
	if t == nil {
		return ""
	}
	calls, checked := t.Calls(stacks)
	if !otherBuild(calls, checked) {
		return ""
	}
	return fmt.Sprintf("%s of %d return addresses follow a call in %s: it is probably not the build that was running", few(calls), checked, in.symbols)
}

// strangers reports whether so few return addresses lie in functions that the
// program is another one: fewer than half.
func strangers(resolved, total int) bool { return resolved*2 < total }

// otherBuild reports whether so few of the return addresses looked at follow a
// call that the build is another one: fewer than four in five, or of a few
// addresses fewer than half.
func otherBuild(calls, checked int) bool {
	if checked < fewCalls {
		return checked > 1 && calls*2 < checked
	}
	return calls*5 < checked*4
}

func few(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprintf("only %d", n)
}

func siteStacks(g *leak.Growth) []heap.Stack {
	stacks := make([]heap.Stack, len(g.Sites))
	for i := range g.Sites {
		stacks[i] = g.Sites[i].Stack
	}
	return stacks
}

// listings yields the listings of the logs at paths as one series, numbered
// through. A log without any is noted, if another has some. After an error it
// yields nothing more.
func (in *input) listings(cmd *cobra.Command, paths ...string) iter.Seq2[leak.Listing, error] {
	return func(yield func(leak.Listing, error) bool) {
		var missing []error
		before := in.count
		for _, path := range paths {
			more, err := in.log(cmd, path, yield)
			var none *console.NoListingError
			if errors.As(err, &none) && !fileOfAnotherKind(none) {
				missing = append(missing, err)
				continue
			}
			if err != nil {
				yield(nil, explain(cmd, err))
			}
			if err != nil || !more {
				return
			}
		}
		if in.count == before && len(missing) > 0 {
			yield(nil, explain(cmd, missing[0]))
			return
		}
		for _, err := range missing {
			in.notes = append(in.notes, withoutListing(err))
		}
	}
}

// fileOfAnotherKind reports whether a file without listings cannot be the log
// that somebody meant, rather than a log without listings.
func fileOfAnotherKind(e *console.NoListingError) bool {
	return e.Kind == console.FileELF || e.Kind == console.FileGzip || e.Kind == console.FileUTF16
}

// withoutListing says what is in a log that a console.NoListingError is about.
func withoutListing(err error) string {
	var e *console.NoListingError
	errors.As(err, &e)
	what := e.Name + " holds no listing"
	switch {
	case e.Kind != "":
		what += ": it looks like " + e.Kind
	case e.Lines == 0:
		what += ": it is empty"
	case e.Strays > 0:
		what += ", only " + plain.Plural(e.Strays, "row") + " without a header: its start is missing"
	}
	if e.Findings > 0 {
		what += ", but " + plain.Plural(e.Findings, "report") + " of a damaged heap or a wild pointer"
	}
	return what
}

func (in *input) log(cmd *cobra.Command, path string, yield func(leak.Listing, error) bool) (more bool, err error) {
	f, err := in.take(cmd, path)
	if err != nil {
		return false, err
	}
	defer f.close()
	if f.memory {
		return in.listDump(cmd, path, f, yield)
	}
	name := sourceName(path)
	r := console.NewReader(f.r, name)
	r.Marks, r.After, r.Names = in.marks, in.count, in.monitor
	boots := in.boots
	defer func() {
		if s := in.clock.end(); s != "" {
			in.notes = append(in.notes, s)
		}
		in.notes = append(in.notes, r.Notes()...)
		in.notes = append(in.notes, f.missing()...)
		in.restarts += r.Stats().Restarts
		in.boots += r.Stats().Boots
	}()
	for l, err := range leak.Listings(in.snapshots(r)) {
		if err != nil {
			return false, err
		}
		in.count++
		in.clock.see(name, l)
		for _, s := range l {
			s.Label = fmt.Sprintf("listing %d", in.count)
			s.Boot += boots
		}
		if !yield(l, nil) {
			return false, nil
		}
	}
	return true, nil
}

// snapshots returns those of the log, and keeps its reports about the heap.
func (in *input) snapshots(r *console.Reader) iter.Seq2[*heap.Snapshot, error] {
	return func(yield func(*heap.Snapshot, error) bool) {
		e := damage.NewExplainer(in.names)
		for item, err := range r.Items() {
			if item.Finding != nil {
				in.finding(e, item.Finding)
				continue
			}
			if in.names != nil && err == nil {
				e.Add(item.Snapshot)
			}
			if !yield(item.Snapshot, err) || err != nil {
				return
			}
		}
		// What is left is the complaint about a log without listings.
		for s, err := range r.Snapshots() {
			if !yield(s, err) {
				return
			}
		}
	}
}

func (in *input) finding(e *damage.Explainer, f *heap.Finding) {
	in.reports++
	if in.names != nil && len(in.findings) < maxFindings {
		e.Explain(f)
		in.findings = append(in.findings, *f)
	}
}

// dumpFinding keeps a finding in a dump, if there is room.
func (in *input) dumpFinding(f *heap.Finding) {
	if in.names != nil && len(in.findings) < maxFindings {
		in.findings = append(in.findings, *f)
		in.dumped++
	}
}

func open(cmd *cobra.Command, path string) (f io.ReadCloser, size int64, err error) {
	if path == "-" {
		in := cmd.InOrStdin()
		if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			fmt.Fprintln(cmd.ErrOrStderr(), "heapwright: paste the log, then type Ctrl-D on a line of its own")
		}
		return io.NopCloser(in), 0, nil
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("there is no file %s: give a console log or a dump, or - for standard input", path)
	}
	if err != nil {
		return nil, 0, err
	}
	st, err := file.Stat()
	if err == nil && st.IsDir() {
		err = fmt.Errorf("%s is a directory: give the log or dump in it", path)
	}
	if err != nil {
		file.Close()
		return nil, 0, err
	}
	return file, st.Size(), nil
}

// explain adds what to do next to an error about a log.
func explain(cmd *cobra.Command, err error) error {
	var none *console.NoListingError
	if !errors.As(err, &none) {
		return err
	}
	if none.Findings > 0 {
		name := none.Name
		if name == heap.Stdin {
			name = "-"
		}
		return exitError{exitCorruption, fmt.Errorf("%w\nto see what they mean:\n  heapwright memcheck %s", err, name)}
	}
	hint := "capture the console while you type memused on the device (it needs LOSCFG_MEM_LEAKCHECK)"
	switch none.Kind {
	case "":
	case console.FileELF:
		hint = "give the console log or the dump, and the ELF file with --symbols " + none.Name
	case console.FileGzip: // within another one
		hint = "unpack it: zcat " + none.Name + " | zcat | " + cmd.CommandPath() + " -"
	case console.FileBinary:
		hint = "check what was captured, and the baud rate"
	case console.FileUTF16:
		hint = "convert it: iconv -f UTF-16 -t UTF-8 " + none.Name + " | " + cmd.CommandPath() + " -"
	}
	return fmt.Errorf("%w\n%s", err, hint)
}

// watched is a reader that stops when the context does and reports progress.
type watched struct {
	ctx context.Context
	r   io.Reader
	p   *progress
}

func (w *watched) Read(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.r.Read(b)
	w.p.read.Add(int64(n))
	return n, err
}
