package leak

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

const (
	baselineVersion = 1
	maxBaseline     = 16 << 20 // bytes
)

// A Baseline is the leaks that are known, so that a gate can fail on new ones
// alone. A leak is known by its pool and the names of its chain of functions,
// because lines and addresses move with every build; a level without a name
// goes by its address. Inlined functions are left out: only some symbols tell
// them. A name that the compiler gave to a clone (f.isra.0) is
// that of the function.
//
// Call sites of one function chain that differ by line are counted: with a
// second one, the leak is no longer only the known one.
//
// # File
//
// A baseline is kept as JSON, sorted, and without figures, so that the
// difference of two is what leaks were added and removed:
//
//	{"heapwright_baseline":1,
//	"sites":[
//	{"pool":"","chain":["malloc","log_dup","log_line"]},
//	{"pool":"","chain":["pkt_alloc","net_rx"],"call_sites":2}
//	]}
//
// heapwright_baseline is the version of the format; readers refuse those they
// do not know, and fields they do not know. The pool is empty for the only or
// main one; a chain begins with the innermost function; call_sites is 1 where
// it is left out.
//
// A Baseline must not be used from several goroutines at a time.
type Baseline struct {
	name     string
	entries  []baselineEntry // ascending, no two alike
	gone     []int           // entries that the last Apply found no leak for
	nameless bool            // the last Apply could compare names with addresses only
}

type baselineEntry struct {
	Pool      string   `json:"pool"`
	Chain     []string `json:"chain"`
	CallSites int      `json:"call_sites,omitempty"` // 0 in the file means 1
}

func (e baselineEntry) compare(f baselineEntry) int {
	return cmp.Or(cmp.Compare(e.Pool, f.Pool), slices.Compare(e.Chain, f.Chain))
}

// NewBaseline returns the leaks of g: what is confirmed and what is suspected,
// other than by those that a suppression covers.
func NewBaseline(g *Growth) *Baseline {
	b := &Baseline{}
	for i := range g.Sites {
		s := &g.Sites[i]
		if s.Suppressed == "" && (s.Verdict == Confirmed || s.Verdict == Suspect) {
			b.entries = append(b.entries, entryOf(s))
		}
	}
	slices.SortFunc(b.entries, baselineEntry.compare)
	merged := b.entries[:0]
	for _, e := range b.entries {
		if n := len(merged); n > 0 && merged[n-1].compare(e) == 0 {
			merged[n-1].CallSites++
		} else {
			merged = append(merged, e)
		}
	}
	b.entries = merged
	return b
}

func entryOf(s *Site) baselineEntry {
	return baselineEntry{Pool: readable(s.Pool), Chain: functionChain(s.Frames), CallSites: 1}
}

// functionChain names the frames as a baseline does.
func functionChain(frames []heap.Frame) []string {
	chain := make([]string, 0, len(frames))
	for i := range frames {
		switch f := &frames[i]; {
		case f.Inlined:
		case f.Function == "":
			chain = append(chain, f.Addr.String())
		default:
			chain = append(chain, readable(uncloned(f.Function)))
		}
	}
	return chain
}

// numeric reports whether a level of a chain is an address.
func numeric(level string) bool {
	_, err := strconv.ParseUint(level, 0, 64)
	return err == nil
}

// isFunction reports whether a level of a chain is a function.
func isFunction(level string) bool {
	return level != "" && !numeric(level) && !strings.HasPrefix(level, noStack)
}

// Addresses returns how many of the chains hold no function, but addresses
// only: without symbols. These move with every build, so that such a baseline
// is good for this one alone.
func (b *Baseline) Addresses() int {
	n := 0
	for i := range b.entries {
		if !slices.ContainsFunc(b.entries[i].Chain, func(level string) bool { return !numeric(level) }) {
			n++
		}
	}
	return n
}

// Resolved reports whether the last Apply had names of functions to compare
// with. If not, because the log came without symbols, nothing that the baseline
// names could be found, and Gone is empty.
func (b *Baseline) Resolved() bool { return !b.nameless }

// readable returns s as it comes back from JSON.
func readable(s string) string { return string([]rune(s)) }

// Len returns how many chains of functions the baseline lists.
func (b *Baseline) Len() int { return len(b.entries) }

// Write writes the file.
func (b *Baseline) Write(w io.Writer) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "{\"heapwright_baseline\":%d,\n\"sites\":[", baselineVersion)
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // operator<< stays readable
	for i, e := range b.entries {
		if e.CallSites == 1 {
			e.CallSites = 0
		}
		out.WriteString([]string{"\n", ",\n"}[min(i, 1)])
		if err := enc.Encode(e); err != nil {
			return err
		}
		out.Truncate(out.Len() - 1) // its line end, so that the comma stands before
	}
	out.WriteString("\n]}\n")
	_, err := w.Write(out.Bytes())
	return err
}

// ReadBaseline reads what Write wrote; name stands for it in messages.
func ReadBaseline(r io.Reader, name string) (*Baseline, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxBaseline+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(text) > maxBaseline {
		return nil, fmt.Errorf("%s: larger than %d bytes: this is not a baseline", name, maxBaseline)
	}
	version, err := parseVersion(text)
	if err != nil {
		return nil, fmt.Errorf("%s%w", name, err)
	}
	if version != baselineVersion {
		return nil, fmt.Errorf("%s: this is a baseline of version %d, and only %d is understood: write it again", name, version, baselineVersion)
	}
	var file struct {
		Version int             `json:"heapwright_baseline"`
		Sites   []baselineEntry `json:"sites"`
	}
	if err := decode(text, &file, true); err != nil {
		return nil, fmt.Errorf("%s%w", name, err)
	}
	b := &Baseline{name: name, entries: file.Sites}
	for i := range b.entries {
		if err := b.entries[i].check(); err != nil {
			return nil, fmt.Errorf("%s: site %d %w", name, i+1, err)
		}
	}
	slices.SortFunc(b.entries, baselineEntry.compare)
	for i := 1; i < len(b.entries); i++ {
		if b.entries[i-1].compare(b.entries[i]) == 0 {
			return nil, fmt.Errorf("%s: %s is listed twice: leave one, with call_sites where there are several", name, plain.Clean(b.entries[i].String()))
		}
	}
	return b, nil
}

// parseVersion tells a baseline from other files, of which JSON is the likeliest.
func parseVersion(text []byte) (int, error) {
	var head struct {
		Version *int `json:"heapwright_baseline"`
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return 0, errors.New(": the file is empty: write it again")
	}
	if err := decode(text, &head, false); err != nil {
		return 0, err
	}
	if head.Version == nil {
		return 0, errors.New(": this is not a baseline, it lacks heapwright_baseline")
	}
	return *head.Version, nil
}

// decode reads the one JSON value in text. Its errors continue a file's name.
func decode(text []byte, v any, strict bool) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if strict {
		d.DisallowUnknownFields()
	}
	err := d.Decode(v)
	at := d.InputOffset()
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		rest := bytes.TrimLeft(text[at:], " \t\r\n")
		if len(rest) == 0 {
			return nil
		}
		at = int64(len(text) - len(rest))
		err = errors.New("something follows behind the end")
	case errors.As(err, &syntax):
		at = syntax.Offset
	case errors.As(err, &wrong):
		at = wrong.Offset
		err = fmt.Errorf("%s holds the wrong kind of value, %.40s", cmp.Or(wrong.Field, "the file"), wrong.Value)
	case errors.Is(err, io.ErrUnexpectedEOF):
		at, err = int64(len(text)), errors.New("the file is cut off")
	default:
		// An unknown field, whose name the message quotes.
		return fmt.Errorf(": not a baseline of this version: %.80s: write it again", strings.TrimPrefix(err.Error(), "json: "))
	}
	at = min(max(at, 0), int64(len(text)))
	return fmt.Errorf(":%d: the baseline cannot be read: %w: write it again", 1+bytes.Count(text[:at], []byte("\n")), err)
}

func (e *baselineEntry) check() error {
	switch {
	case len(e.Chain) == 0:
		return errors.New("lacks its chain: write the names of the functions, innermost first")
	case e.CallSites < 0:
		return fmt.Errorf("has call_sites %d: write a number from 1, or leave it out", e.CallSites)
	case e.CallSites == 0:
		e.CallSites = 1
	}
	return nil
}

// String returns the chain as reports print it.
func (e baselineEntry) String() string {
	chain := strings.Join(e.Chain, " <- ")
	if e.Pool != "" {
		chain = "[" + e.Pool + "] " + chain
	}
	return chain
}

// Apply sets Baseline of the call sites that the baseline lists. Where more
// sites of one chain leak than it knows of, none of them is covered, as it
// cannot be told which are the new ones, and their Reason says so: of the
// confirmed ones if these alone are too many, else of the suspected.
func (b *Baseline) Apply(g *Growth) {
	type count struct{ confirmed, leaking, seen int }
	counts := make([]count, len(b.entries))
	found := make([]int, len(g.Sites)) // entries, from 1; 0: none
	for i := range g.Sites {
		s := &g.Sites[i]
		if !s.Verdict.suspicious() {
			continue
		}
		at, ok := slices.BinarySearchFunc(b.entries, entryOf(s), baselineEntry.compare)
		if !ok {
			continue
		}
		counts[at].seen++
		if s.Suppressed != "" {
			continue
		}
		found[i] = at + 1
		switch s.Verdict {
		case Confirmed:
			counts[at].confirmed++
			counts[at].leaking++
		case Suspect:
			counts[at].leaking++
		}
	}
	for i, at := range found {
		if at == 0 {
			continue
		}
		s, known := &g.Sites[i], b.entries[at-1].CallSites
		n := counts[at-1].leaking
		if s.Verdict == Confirmed {
			n = counts[at-1].confirmed
		}
		s.Baseline = n <= known
		if !s.Baseline {
			s.Reason += fmt.Sprintf("; %d call sites of this function chain leak, %s knows of %d", n, cmp.Or(b.name, "the baseline"), known)
		}
	}
	b.gone = b.gone[:0]
	b.nameless = len(g.Sites) > 0 &&
		slices.ContainsFunc(b.entries, func(e baselineEntry) bool { return slices.ContainsFunc(e.Chain, isFunction) }) &&
		!slices.ContainsFunc(g.Sites, func(s Site) bool {
			return slices.ContainsFunc(s.Frames, func(f heap.Frame) bool { return isFunction(f.Function) })
		})
	if b.nameless {
		return
	}
	for at := range counts {
		if counts[at].seen == 0 {
			b.gone = append(b.gone, at)
		}
	}
}

// Gone returns the chains of functions that the last Apply found no leak of,
// as reports print them: they are mended, or the log does not come to them.
// Without symbols (see Resolved) there are none.
func (b *Baseline) Gone() []string {
	chains := make([]string, len(b.gone))
	for i, at := range b.gone {
		chains[i] = b.entries[at].String()
	}
	return chains
}
