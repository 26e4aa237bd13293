package report

import (
	"path"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

// relative returns d with the names of source files relative to the options'
// roots. What d refers to stays as it is.
func (d *Document) relative(o Options) *Document {
	if len(o.Roots) == 0 {
		return d
	}
	r := make(roots, 0, len(o.Roots))
	for _, dir := range o.Roots {
		r = append(r, slashed(dir))
	}
	c := *d
	if d.Growth != nil {
		g := *d.Growth
		g.Sites = slices.Clone(g.Sites)
		for i := range g.Sites {
			g.Sites[i].Frames = r.frames(g.Sites[i].Frames)
		}
		if g.Unreferenced != nil {
			r.lost(&g)
		}
		c.Growth = &g
	}
	if d.Symbols != nil {
		c.Symbols = relativeSymbols{d.Symbols, r}
	}
	return &c
}

// lost gives g an Unreferenced with relative file names, and its sites what
// belongs to them there.
func (r roots) lost(g *leak.Growth) {
	c := *g.Unreferenced
	c.Sites = slices.Clone(c.Sites)
	now := make(map[*leak.LostSite]*leak.LostSite, len(c.Sites))
	for i, s := range c.Sites {
		n := *s
		n.Frames = r.frames(n.Frames)
		c.Sites[i], now[s] = &n, &n
	}
	for i := range g.Sites {
		if s := &g.Sites[i]; s.Lost != nil {
			s.Lost = now[s.Lost]
		}
	}
	g.Unreferenced = &c
}

// relativeSymbols is a symbolizer whose file names are relative.
type relativeSymbols struct {
	heap.Symbolizer
	roots roots
}

func (s relativeSymbols) Frames(lr heap.Addr) []heap.Frame {
	return s.roots.frames(s.Symbolizer.Frames(lr))
}

// roots are directories as slashed returns them.
type roots []string

// frames returns frames with relative file names, the same ones if no name
// changes.
func (r roots) frames(frames []heap.Frame) []heap.Frame {
	out := frames
	for i := range frames {
		name := r.relative(frames[i].File)
		if name == frames[i].File {
			continue
		}
		if &out[0] == &frames[0] {
			out = slices.Clone(frames)
		}
		out[i].File = name
	}
	return out
}

// relative returns the name of a file below the first root that holds it, with
// slashes on every system, or the name itself if none does.
func (r roots) relative(name string) string {
	if name == "" {
		return ""
	}
	file := slashed(name)
	for _, root := range r {
		rest, ok := below(file, root)
		if ok {
			return rest
		}
	}
	return name
}

// below returns the name of a file relative to a directory that holds it. Drive
// letters of Windows fit in either case.
func below(file, dir string) (rest string, ok bool) {
	if dir == "." || dir == "" {
		return "", false // names relative to it are what they are
	}
	if dir = strings.TrimSuffix(dir, "/") + "/"; len(dir) > 2 && dir[1] == ':' && len(file) > 2 && file[1] == ':' {
		file, dir = strings.ToLower(file[:1])+file[1:], strings.ToLower(dir[:1])+dir[1:]
	}
	return strings.CutPrefix(file, dir)
}

// slashed cleans the name of a file of any system.
func slashed(name string) string { return path.Clean(strings.ReplaceAll(name, `\`, "/")) }

// SourceBelow reports whether the source file of a frame lies below a directory,
// so that a root that fits nothing can be told from one that does.
func SourceBelow(dir string, frames []heap.Frame) bool {
	dir = slashed(dir)
	return slices.ContainsFunc(frames, func(f heap.Frame) bool {
		_, ok := below(slashed(f.File), dir)
		return ok
	})
}
