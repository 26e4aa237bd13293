package report

import (
	"fmt"
	"strings"

	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
)

// fewLost is how many call sites of lost nodes text shows unless asked for more.
const fewLost = 5

// fewHeads is how many lost nodes of a call site are named unless all is asked
// for.
const fewHeads = 3

// lost writes what nothing leads to any more, and returns what has to be noted.
func (t *text) lost(g *leak.Growth) (notes []string) {
	u := g.Unreferenced
	if u == nil {
		return nil
	}
	if u.Why != "" {
		return []string{"unreferenced nodes: " + u.Why}
	}
	t.WriteByte('\n')
	t.paragraph(plain.Clean(lostSummary(u)), 0)
	n := t.shown(len(u.Sites), fewLost+t.taller()/4)
	if n == 0 {
		return nil
	}
	t.WriteString("\n" + t.paint(bold, lostTitles) + "\n")
	sites := map[*leak.LostSite]*leak.Site{}
	for i := range g.Sites {
		if s := &g.Sites[i]; s.Lost != nil {
			sites[s.Lost] = s
		}
	}
	for _, s := range u.Sites[:n] {
		t.lostSite(s)
		if site := sites[s]; site != nil && len(g.Listings) < 2 && !g.Aged && s.Direct.Nodes > 0 && u.Gaps == "" {
			t.reason(site, lostBelow) // else it stands above
		}
	}
	if rest := len(u.Sites) - n; rest > 0 {
		t.printf("%s not shown%s\n", plain.Plural(rest, "more call site"), t.hint())
	}
	return nil
}

// lostSummary says in a sentence or two what is lost.
func lostSummary(u *leak.Unreferenced) string {
	lost := u.Direct.Nodes + u.Indirect.Nodes
	var s string
	switch {
	case lost == 0:
		s = fmt.Sprintf("Unreferenced: nothing; pointers lead to all %s.", plain.Plural(int(u.Used.Nodes), "used node"))
	case u.Indirect.Nodes == 0:
		s = fmt.Sprintf("Unreferenced: no pointer leads to %s.", amount(u.Direct))
	default:
		s = fmt.Sprintf("Unreferenced: no pointer leads to %s, and only those lead to %s more.", amount(u.Direct), amount(u.Indirect))
	}
	if u.Gaps != "" && lost > 0 {
		s += " But " + u.Gaps + "."
	}
	return s
}

func amount(a leak.Amount) string {
	return fmt.Sprintf("%s of %s", plain.Plural(int(a.Nodes), "node"), size(float64(a.Bytes)))
}

// lostBelow is where lines begin that stand below those of a call site.
const lostBelow = belowIndent

const lostTitles = "verdict       direct             through them       allocated by"

func (t *text) lostSite(s *leak.LostSite) {
	const below = lostBelow
	cell := func(a leak.Amount) string { return fmt.Sprintf("%6d %10s", a.Nodes, size(float64(a.Bytes))) }
	verdict := s.Verdict
	frames := s.Frames
	if at := leak.Interesting(frames, nil); at > 0 && at < len(frames) && !t.Verbose {
		frames = frames[at:]
	}
	if !t.Verbose {
		frames = withoutDirectories(frames)
	}
	line := fmt.Sprintf("%s  %s  %s", t.paint(verdictColor(verdict), fmt.Sprintf("%-12s", verdict)), cell(s.Direct), cell(s.Through))
	column := 12 + 2 + 17 + 2 + 17 + 2
	chain := chainOf(s.Pool, frames)
	t.WriteString(line)
	switch {
	case t.Verbose && len(s.Frames) > 0:
		t.printf("\n%*s", below, "")
		t.frames(below, s.Frames, len(s.Frames))
	case t.Width <= 0 || t.fits(chain, column):
		t.WriteString("  ")
		t.wrap(chain, column)
	case t.Width > 0 && !t.fits(chain[:1], column):
		t.printf("\n%*s", below, "")
		t.wrap(chain, below)
	default:
		t.WriteString("  " + chain[0] + "\n")
		if len(chain) > 1 {
			t.printf("%*s<- ", below, "")
			t.wrap(chain[1:], below+3)
		}
	}
	if s.Indirect.Nodes > 0 {
		t.printf("%*s%s lost through others\n", below, "", amount(s.Indirect))
	}
	t.heads(s, below)
}

// heads names the largest lost nodes of a call site.
func (t *text) heads(s *leak.LostSite, indent int) {
	var words []string
	for _, h := range s.Heads {
		if len(words) == fewHeads && !t.Verbose {
			break
		}
		w := fmt.Sprintf("%s (%d bytes", h.Addr, h.Bytes)
		if h.Through.Nodes > 0 {
			w += fmt.Sprintf(", and %s of %d through it", plain.Plural(int(h.Through.Nodes), "node"), h.Through.Bytes)
		}
		words = append(words, w+")")
	}
	if rest := int(s.Direct.Nodes) - len(words); rest > 0 && len(words) > 0 {
		words = append(words, fmt.Sprintf("%d more", rest))
	}
	if len(words) > 0 {
		name := "lost: "
		if s.Direct.Nodes > uint64(len(s.Heads)) || len(s.Heads) > fewHeads {
			name = "largest: "
		}
		t.printf("%*s", indent, "")
		t.paragraphAt(indent, name+strings.Join(words, ", "), indent+2)
	}
}

// held says what holds the nodes of a site that grows.
func (t *text) held(s *leak.Site, indent int) {
	if len(s.Held) == 0 {
		return
	}
	t.printf("%*s", indent, "")
	t.paragraphAt(indent, plain.Clean("still referenced: a node of it from "+strings.Join(s.Held, " -> ")), indent+2)
}
