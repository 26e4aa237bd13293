package leak

import (
	"strings"

	"github.com/heapwright/heapwright/heap"
)

// names are what a frame goes by.
type names struct {
	name     string
	original string // of a clone; else empty
	bare     string // original, or else name, without parameters; empty: it has none
}

// match reports whether a glob fits one of the names. Parameters that only one
// of the two has do not count.
func (n *names) match(glob string) bool {
	if matchGlob(glob, n.name) || n.original != "" && matchGlob(glob, n.original) {
		return true
	}
	if n.bare != "" {
		return matchGlob(glob, n.bare)
	}
	short, ok := bareGlob(glob)
	return ok && (matchGlob(short, n.name) || n.original != "" && matchGlob(short, n.original))
}

func namesOf(frames []heap.Frame) []names {
	chain := make([]names, len(frames))
	for i := range frames {
		chain[i] = frameNames(&frames[i])
	}
	return chain
}

func frameNames(f *heap.Frame) names {
	if f.Function == "" {
		return names{name: f.Addr.String()}
	}
	n := names{name: f.Function}
	original := uncloned(f.Function)
	if len(original) != len(f.Function) {
		n.original = original
	}
	if bare, ok := withoutParameters(original); ok {
		n.bare = bare
	}
	return n
}

// withoutParameters cuts the parameters, and what follows them, from the
// readable name of a C++ function: "Buffer::grow" of "Buffer::grow(int) const".
// It reports whether there are any.
func withoutParameters(name string) (string, bool) {
	end := len(name)
	for cut := true; cut; {
		cut = false
		for _, s := range []string{" const", " volatile", " &", " &&"} {
			if strings.HasSuffix(name[:end], s) {
				end -= len(s)
				cut = true
			}
		}
	}
	if end == 0 || name[end-1] != ')' {
		return name, false
	}
	depth := 0
	for i := end - 1; i > 0; i-- {
		switch name[i] {
		case ')':
			depth++
		case '(':
			if depth--; depth > 0 {
				continue
			}
			if short := name[:i]; short != "operator" && !strings.HasSuffix(short, "::operator") {
				return short, true
			}
			return name, false // the call operator itself
		}
	}
	return name, false
}

// bareGlob cuts the parameters from a glob, be they written as a lone * after
// the parenthesis.
func bareGlob(glob string) (string, bool) {
	if s, ok := strings.CutSuffix(glob, "(*"); ok && s != "" && !strings.HasSuffix(s, "operator") {
		return s, true
	}
	return withoutParameters(glob)
}

// clones are what compilers put behind the name of a function of which they
// make several, followed by a number or by nothing.
var clones = []string{".constprop", ".isra", ".part", ".cold", ".lto_priv", ".llvm", ".localalias"}

// uncloned returns the name of the function that name is a clone of, or name
// itself: "grow" for "grow.isra.0.part.1", and for "grow [clone .isra.0]", as
// demangled names are printed.
func uncloned(name string) string {
	for strings.HasSuffix(name, "]") {
		i := strings.LastIndex(name, " [clone ")
		if i <= 0 {
			break
		}
		name = name[:i]
	}
	for {
		rest := strings.TrimRight(name, "0123456789")
		if len(rest) < len(name) {
			rest = strings.TrimSuffix(rest, ".")
		}
		found := false
		for _, c := range clones {
			if s, ok := strings.CutSuffix(rest, c); ok && s != "" {
				name, found = s, true
				break
			}
		}
		if !found {
			return name
		}
	}
}
