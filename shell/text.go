package shell

import (
	"path"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
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

// short resolves addresses to frames as Short makes them.
type short struct{ heap.Symbolizer }

func (s short) Frames(lr heap.Addr) []heap.Frame { return shorten(s.Symbolizer.Frames(lr)) }

func shorten(frames []heap.Frame) []heap.Frame {
	for i, f := range frames {
		frames[i] = Short(f)
	}
	return frames
}

// bornAgo is how long before a snapshot a node was allocated; "" is unknown.
func bornAgo(n *heap.Node, s *heap.Snapshot) string {
	if age, ok := s.Age(n); ok {
		return plain.Duration(age)
	}
	return ""
}
