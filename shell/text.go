package shell

import (
	"fmt"
	"io"
	"path"
	"runtime/debug"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
)

// Lines of a few words that a person reads; tables of call stacks are written
// by package report.

// Short returns a frame with the function without the path of its package, and
// the file as it is found from the root of the program's module or, if it
// belongs to another module, with its last directory only.
func Short(f heap.Frame) heap.Frame {
	name, rest := f.Function, ""
	if i := strings.IndexAny(name, "(["); i >= 0 {
		name, rest = name[:i], name[i:] // a receiver or type arguments can hold paths too
	}
	base := name[strings.LastIndexByte(name, '/')+1:]
	if f.File != "" {
		pkg, _, _ := strings.Cut(base, ".")
		f.File = shortFile(strings.ReplaceAll(f.File, `\`, "/"), name[:len(name)-len(base)]+pkg)
	}
	f.Function = base + rest
	return f
}

// shortFile shortens the path of a file that belongs to a package. Where the
// module lies is not recorded in a program, but its package paths are, and they
// tell the directories below it.
func shortFile(file, pkg string) string {
	pkg = strings.ReplaceAll(pkg, "%2e", ".") // as the linker escapes them
	module, program := build()
	if pkg == "main" {
		pkg = program
	}
	base := path.Base(file)
	for _, p := range []string{pkg, strings.TrimSuffix(pkg, "_test")} { // external tests
		dir, ok := strings.CutPrefix(p+"/", module+"/")
		if found := path.Join(dir, base); ok && module != "" && strings.HasSuffix(file, "/"+found) {
			return found
		}
	}
	return path.Join(path.Base(path.Dir(file)), base)
}

// build returns the paths of the program's module and of its main package.
var build = sync.OnceValues(func() (module, program string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", ""
	}
	return info.Main.Path, info.Path
})

func shorten(frames []heap.Frame) []heap.Frame {
	for i, f := range frames {
		frames[i] = Short(f)
	}
	return frames
}

// maxFrames bounds the stacks that are written: the outer end of a deep stack
// says little.
const maxFrames = 16

// writeStack writes a stack, one frame a line, functions and places aligned,
// and not more than so many frames.
func writeStack(w io.Writer, indent string, sym heap.Symbolizer, s heap.Stack, most int) {
	frames := shorten(leak.Resolve(sym, s))
	for n := len(frames); n > 1 && (frames[n-1].Function == "runtime.goexit" || frames[n-1].Function == "runtime.main"); n-- {
		frames = frames[:n-1]
	}
	more := max(0, len(frames)-most)
	frames = frames[:len(frames)-more]
	width := 0
	name := func(f heap.Frame) string {
		if f.Function == "" {
			return f.Addr.String()
		}
		return plain.Clean(f.Function)
	}
	for _, f := range frames {
		if n := utf8.RuneCountInString(name(f)); n <= 48 {
			width = max(width, n)
		}
	}
	for _, f := range frames {
		if f.File == "" {
			fmt.Fprintf(w, "%s%s\n", indent, name(f))
		} else {
			fmt.Fprintf(w, "%s%-*s  %s:%d\n", indent, width, name(f), plain.Clean(f.File), f.Line)
		}
	}
	if more > 0 {
		fmt.Fprintf(w, "%s%s\n", indent, plain.Plural(more, "more frame"))
	}
}

// wrap writes text broken at blanks to 78 columns, further lines indented.
func wrap(w io.Writer, text, indent string) { wrapAt(w, 0, text, indent) }

// wrapAt is wrap for text that begins in a column.
func wrapAt(w io.Writer, column int, text, indent string) {
	const width = 78
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+n > width:
			io.WriteString(w, "\n"+indent)
			column = len(indent)
		default:
			io.WriteString(w, " ")
			column++
		}
		io.WriteString(w, word)
		column += n
	}
	io.WriteString(w, "\n")
}

// bornAgo is how long before a snapshot a node was allocated; "" is unknown.
func bornAgo(n *heap.Node, s *heap.Snapshot) string {
	if s == nil || n.Birth == 0 || s.Tick < n.Birth || s.TickHz == 0 {
		return ""
	}
	return age(time.Duration(s.Tick-n.Birth) * time.Second / time.Duration(s.TickHz))
}

// age formats a time that has passed in a few characters.
func age(d time.Duration) string {
	s := int(max(0, d) / time.Second)
	switch {
	case s < 10:
		return fmt.Sprintf("%.1fs", max(0, d).Seconds())
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 60*60:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 48*60*60:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}
