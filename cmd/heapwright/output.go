package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
	"github.com/heapwright/heapwright/report"
)

// output is where and how a verb writes its document.
type output struct {
	format  string
	more    []string // formats besides text and json; to be set before flags
	file    string
	top     int
	topSet  bool
	verbose bool
	strip   string // directory in front of the names of source files
}

// writers are the formats of documents.
var writers = map[string]func(io.Writer, *report.Document, report.Options) error{
	"text":      report.Text,
	"json":      report.JSON,
	"pprof":     report.Profile,
	"collapsed": report.Collapsed,
	"sarif":     report.SARIF,
	"junit":     report.JUnit,
	"github":    report.GitHub,
}

func (o *output) flags(cmd *cobra.Command, top string) {
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "text", "`FORMAT` of the output: "+o.formats())
	f.StringVarP(&o.file, "output", "o", "", "write to `FILE`, which is replaced only when complete")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "whole call stacks, a function a line, and every number")
	if top != "" {
		f.IntVar(&o.top, "top", 0, "show `N` "+top+" as text or JSON, 0: all (default: a screenful of text)")
	}
}

// sourceFlags are those of verbs whose formats name source files.
func (o *output) sourceFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.strip, "strip-prefix", "", "`DIR` in front of source files to leave out, where the build was made elsewhere")
}

// checkStrip warns if no source file lies below the directory to leave out.
func (o *output) checkStrip(cmd *cobra.Command, in *input, frames []heap.Frame) {
	i := slices.IndexFunc(frames, func(f heap.Frame) bool { return f.File != "" })
	if o.strip != "" && i >= 0 && !report.SourceBelow(o.strip, frames) {
		in.warn(cmd, o, fmt.Sprintf("no source file lies below --strip-prefix %s: they are named like %s", o.strip, frames[i].File))
	}
}

// roots returns the directories that source files are named relative to: what
// shows problems in a repository wants names as the repository has them.
func (o *output) roots() []string {
	var dirs []string
	if o.strip != "" {
		dirs = append(dirs, o.strip)
	}
	switch o.format {
	case "sarif", "junit", "github":
		if dir := os.Getenv("GITHUB_WORKSPACE"); dir != "" {
			dirs = append(dirs, dir)
		}
		if dir, err := os.Getwd(); err == nil {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// check validates the flags before anything is read, and that what is read
// survives.
func (o *output) check(cmd *cobra.Command, in *input, logs []string) error {
	if o.format != "text" && o.format != "json" && !slices.Contains(o.more, o.format) {
		return usageError(cmd, fmt.Errorf("--format is %s, not %q", o.formats(), o.format))
	}
	in.brief = (o.format == "text" || o.format == "svg") && !o.verbose
	if o.topSet = cmd.Flags().Changed("top"); o.topSet && o.top < 0 {
		return usageError(cmd, fmt.Errorf("--top is a number of call sites, 0 for all, not %d", o.top))
	}
	if f, ok := cmd.OutOrStdout().(*os.File); o.format == "pprof" && !o.toFile() && ok && term.IsTerminal(int(f.Fd())) {
		return usageError(cmd, errors.New("a pprof profile is no text for a terminal: write it to a file and look at that\n  heapwright "+cmd.Name()+" --format pprof -o heap.pb.gz ...\n  go tool pprof -http=: heap.pb.gz"))
	}
	if cmd.Flags().Changed("strip-prefix") && o.strip == "" {
		return usageError(cmd, errors.New("--strip-prefix needs a directory, such as /home/ci/firmware"))
	}
	if cmd.Flags().Changed("output") && o.file == "" {
		return usageError(cmd, errors.New("-o needs the name of a file"))
	}
	st, err := os.Stat(o.file)
	if _, open := descriptor(o.file); o.file == "-" || open || err != nil || !st.Mode().IsRegular() {
		return nil
	}
	for _, path := range append([]string{in.symbols, in.memory.config}, inputFiles(logs)...) {
		if given, err := stat(cmd, path); err == nil && os.SameFile(st, given) {
			return usageError(cmd, fmt.Errorf("-o %s would overwrite the input %s: give another name", o.file, named(path)))
		}
	}
	if st.Mode().Perm()&0o200 == 0 {
		return fmt.Errorf("%s is write-protected: give -o another name", o.file)
	}
	return nil
}

// formats names the formats there are.
func (o *output) formats() string {
	if len(o.more) == 0 {
		return "text or json"
	}
	last := len(o.more) - 1
	return strings.Join(slices.Concat([]string{"text", "json"}, o.more[:last]), ", ") + " or " + o.more[last]
}

func (o *output) json() bool { return o.format == "json" }

// toFile reports whether the document is written to a file of its own.
func (o *output) toFile() bool {
	f, ok := descriptor(o.file)
	return o.file != "" && o.file != "-" && !(ok && f == os.Stdout)
}

// lastComplete keeps of each pool the last snapshot that is not partial, or the
// last if all are.
type lastComplete map[string]*heap.Snapshot

func (c lastComplete) add(l leak.Listing) {
	for _, s := range l {
		if before, ok := c[s.Pool]; !ok || s.Partial == "" || before.Partial != "" {
			c[s.Pool] = s
		}
	}
}

// listing returns the snapshots in the order of the pools' names.
func (c lastComplete) listing() leak.Listing {
	var l leak.Listing
	for _, pool := range slices.Sorted(maps.Keys(c)) {
		l = append(l, c[pool])
	}
	return l
}

// mappings returns how the program that sym knows lies in memory.
func mappings(sym heap.Symbolizer) []heap.Mapping {
	if t := tableOf(sym); t != nil {
		return t.Mappings()
	}
	return nil
}

// document writes d in the format that was asked for.
func (o *output) document(cmd *cobra.Command, d *report.Document) error {
	return o.write(cmd, func(w io.Writer, options report.Options) error { return writers[o.format](w, d, options) })
}

// write calls document with where to write, and makes the output file appear
// only if it succeeds. That nobody reads on is no error, and no answer either:
// the exit code is what it would be.
func (o *output) write(cmd *cobra.Command, document func(io.Writer, report.Options) error) error {
	if err := o.writeAll(cmd, document); !brokenPipe(err) {
		return err
	}
	return nil
}

func (o *output) writeAll(cmd *cobra.Command, document func(io.Writer, report.Options) error) error {
	options := report.Options{Top: -1, TopHint: "--top 0 shows all", Verbose: o.verbose, Version: version(), Roots: o.roots()}
	if o.topSet {
		options.Top = o.top
	}
	if !o.toFile() {
		out := cmd.OutOrStdout()
		options.Width, options.Color = terminal(out)
		options.Height = height(out)
		options.ASCII = !unicodeWelcome(out)
		return document(out, options)
	}
	options.Height = page
	return replaceFile(o.file, func(w io.Writer) error { return document(w, options) })
}

// page is the height of what is not shown on a screen: enough for all that is
// worth a look, short of hundreds of call sites.
const page = 60

// terminal returns the width that text should fit into, 0 if it does not
// matter, and whether colours are welcome.
func terminal(w io.Writer) (width int, color bool) {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		width, _, _ = term.GetSize(int(f.Fd()))
		color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		if runtime.GOOS == "windows" && os.Getenv("WT_SESSION") == "" {
			color = false // the old console shows the escape sequences
		}
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		width = n
	}
	return width, color
}

// height returns how many lines text has to be shown in.
func height(w io.Writer) int {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		_, lines, _ := term.GetSize(int(f.Fd()))
		return lines
	}
	return page
}

// unicodeWelcome reports whether w shows more than ASCII characters. A locale
// that says so is believed; where there is none, files are taken to be UTF-8 and
// terminals are not.
func unicodeWelcome(w io.Writer) bool {
	f, ok := w.(*os.File)
	shown := ok && term.IsTerminal(int(f.Fd()))
	if shown && (os.Getenv("TERM") == "linux" || os.Getenv("TERM") == "dumb") {
		return false // the text console has no such characters in its font
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToUpper(os.Getenv(name)); v != "" {
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return !shown || runtime.GOOS == "darwin" || os.Getenv("WT_SESSION") != ""
}
