package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/heapwright/heapwright/damage"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
)

// An alert is what tools that show problems in source code are told: a call
// site that leaks, or a finding.
type alert struct {
	rule    string // "heap-leak/confirmed", "heap-corruption/header-damaged", ...
	failure bool   // else a warning
	message string // a sentence or two
	pool    string
	// frames is the call stack that names the code concerned, from its first
	// interesting frame on; whole is all of it.
	frames, whole []heap.Frame
	stacks        []namedStack // all that is known, whole first
	source        string       // where in a log it was seen; may be empty
	fingerprint   string       // equal for the same problem in another run
	rank          int          // of a call site, from 1; 0 for a finding
	site          *leak.Site   // nil for a finding
}

type namedStack struct {
	name   string
	frames []heap.Frame
}

// alerts yields what d holds that is a problem: the call sites first, those that
// are tolerated too.
func alerts(d *Document) iter.Seq[alert] {
	return func(yield func(alert) bool) {
		if d.Growth != nil {
			v := newView(d.Growth)
			numbers := ordinals(v.Sites, func(s *leak.Site) string { return fingerprint("leak", s.Pool, s.Frames) })
			for i := range v.Sites {
				s := &v.Sites[i]
				if !leaks(s) {
					continue
				}
				a := v.alert(s, i+1)
				a.failure = d.fails(s)
				if n := numbers[s]; n > 1 {
					a.fingerprint += "-" + strconv.Itoa(n)
				}
				if !yield(a) {
					return
				}
			}
		}
		for i := range d.Findings {
			if !yield(findingAlert(&d.Findings[i], d.Symbols)) {
				return
			}
		}
	}
}

// siteRule is the rule that a call site with a verdict breaks.
func siteRule(v leak.Verdict) string { return "heap-leak/" + strings.ToLower(string(v)) }

// findingRule is the rule of findings of a kind.
func findingRule(k heap.Kind) string {
	if k.WildPointer() {
		return "wild-pointer/" + plain.Clean(string(k))
	}
	return "heap-corruption/" + plain.Clean(string(k))
}

func (v *view) alert(s *leak.Site, rank int) alert {
	frames, _ := interesting(s)
	what := "leaks"
	if s.Verdict == leak.Suspect {
		what = "may leak"
	}
	message := fmt.Sprintf("%s %s", chainOf(s.Pool, frames)[0], what)
	if s.LeakedNodes > 0 {
		message += ": " + plain.Plural(s.LeakedNodes, "node") + " so far"
	}
	if rate := v.rate(s); rate != "" {
		message += ", " + rate
	}
	message += "."
	if s.Reason != "" {
		message += " " + sentence(plain.Clean(s.Reason))
	}
	return alert{
		rule: siteRule(s.Verdict), message: message, pool: s.Pool,
		frames: frames, whole: s.Frames, stacks: []namedStack{{"allocated in", s.Frames}}, source: v.sources[s.Pool],
		fingerprint: fingerprint("leak", s.Pool, s.Frames), rank: rank, site: s,
	}
}

func findingAlert(f *heap.Finding, sym heap.Symbolizer) alert {
	a := alert{rule: findingRule(f.Kind), failure: true, message: plain.Clean(f.Summary()) + ".", pool: f.Pool, source: f.Source}
	if f.Cause != "" {
		a.message += " Most likely " + strings.TrimSuffix(plain.Clean(f.Cause), ".") + "."
	}
	for _, t := range damage.Traces(f) {
		a.stacks = append(a.stacks, namedStack{t.Name, leak.Resolve(sym, t.Stack)})
	}
	if len(a.stacks) > 0 {
		a.whole = a.stacks[0].frames
		a.frames = a.whole[damage.Blamed(a.whole):]
	}
	a.fingerprint = fingerprint(a.rule, f.Pool, a.whole)
	return a
}

// place returns the first interesting frame whose line is known.
func (a *alert) place() (f heap.Frame, ok bool) {
	for _, f := range a.frames {
		if f.File != "" && f.Line > 0 {
			return f, true
		}
	}
	return heap.Frame{}, false
}

// fingerprint is equal for equal chains of functions. Lines and addresses do
// not count, so that it survives changes elsewhere in a file and in a program;
// levels without a name count by their address.
func fingerprint(kind, pool string, frames []heap.Frame) string {
	h := sha256.New()
	io.WriteString(h, kind+"\x00"+pool)
	for _, f := range frames {
		if f.Function != "" {
			io.WriteString(h, "\x00"+f.Function)
		} else {
			io.WriteString(h, "\x01"+f.Addr.String())
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
