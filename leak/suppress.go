package leak

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/heapwright/heapwright/internal/plain"
)

const (
	maxSuppressions    = 1000 // in a file
	maxSuppressionLine = 4096 // bytes
	maxSuppressionFile = 1 << 20
	dateLayout         = "2006-01-02"
)

// Suppressions are leaks that are accepted and caches that are known, as a
// file of lines such as these says it:
//
//	# what is known of the modem library
//	leak:at_parse <- modem_*   max_nodes=40 expires=2026-12-31  # fixed in 4.2
//	leak:vendor_tls_*          max_bytes=4K
//	cache:dns_remember         max=64    # sixty-four names at most
//
// A line that begins with leak: accepts what the call sites leak that match
// its Pattern, each up to max_nodes leaked nodes and max_bytes leaked bytes (K
// and M mean 1024 and 1024*1024), to the end of the day of expires. One that
// begins with cache: declares the call sites to be a cache, which grows until
// it is full: each may hold up to max nodes in any listing. What exceeds its
// limits is judged as if the line were not there, and the reason says so.
// Empty lines and what follows a # at the beginning or behind a blank are
// comments.
//
// Suppressions must not be used from several goroutines at a time.
type Suppressions struct {
	name  string
	rules []rule
}

// rule is one line.
type rule struct {
	line    int
	text    string // without the comment
	cache   bool
	pattern Pattern
	// Limits; 0 is none. The one of a cache is maxNodes.
	maxNodes, maxBytes uint64
	expires            time.Time // the first moment at which it no longer holds

	matched bool // a call site
	needed  bool // matched one that would count as a leak
	expired bool // when last applied
}

// ReadSuppressions reads a file; name stands for it in messages. An error
// names the line and says what to write instead.
func ReadSuppressions(r io.Reader, name string) (*Suppressions, error) {
	s := &Suppressions{name: name}
	file := &io.LimitedReader{R: r, N: maxSuppressionFile + 1}
	in := bufio.NewScanner(file)
	in.Buffer(make([]byte, 0, 512), maxSuppressionLine)
	n := 0
	for in.Scan() {
		n++
		text := in.Text()
		if n == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		text = uncomment(text)
		if text == "" {
			continue
		}
		rule, err := parseRule(text)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		if len(s.rules) == maxSuppressions {
			return nil, fmt.Errorf("%s:%d: more than %d suppressions: join some with *", name, n, maxSuppressions)
		}
		rule.line = n
		s.rules = append(s.rules, rule)
	}
	switch err := in.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("%s:%d: the line is longer than %d bytes: is this a suppressions file?", name, n+1, maxSuppressionLine)
	case err != nil:
		return nil, fmt.Errorf("%s:%d: %w", name, n+1, err)
	case file.N == 0:
		return nil, fmt.Errorf("%s: larger than %d bytes: is this a suppressions file?", name, maxSuppressionFile)
	}
	return s, nil
}

// uncomment removes a comment and the blanks around the rest.
func uncomment(line string) string {
	for i := 0; i < len(line); i++ {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			line = line[:i]
			break
		}
	}
	return strings.TrimSpace(line)
}

// option is a word at the end of a line that looks like one; names of C++
// functions hold "=" too, but not behind nothing but small letters.
var option = regexp.MustCompile(`^[a-z_]+=`)

// inside finds an option with something behind it.
var inside = regexp.MustCompile(`(?:^|\s)(max_bytes|max_nodes|max|expires)=`)

func parseRule(text string) (rule, error) {
	kind, rest, ok := strings.Cut(text, ":")
	if !ok || kind != "leak" && kind != "cache" {
		return rule{}, fmt.Errorf("%.60q is neither leak:PATTERN nor cache:PATTERN: write leak: in front of the function's name, and # in front of a comment", text)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) && c != '\t' }) {
		return rule{}, fmt.Errorf("%.60q holds characters that are not text: write ? for those in a function's name", text)
	}
	r := rule{text: strings.Join(strings.Fields(text), " "), cache: kind == "cache"}
	var options []string
	for {
		i := strings.LastIndexAny(rest, " \t")
		if !option.MatchString(rest[i+1:]) {
			break
		}
		options = append(options, rest[i+1:])
		rest = strings.TrimRight(rest[:max(i, 0)], " \t")
	}
	if m := inside.FindStringSubmatch(rest); m != nil {
		return rule{}, fmt.Errorf("something that is no option follows %s=: write # in front of a comment", m[1])
	}
	var err error
	if r.pattern, err = ParsePattern(strings.TrimSpace(rest)); err != nil {
		return rule{}, err
	}
	seen := map[string]bool{}
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		if seen[key] {
			return rule{}, fmt.Errorf("%s= is given twice: leave one", key)
		}
		seen[key] = true
		if err := r.set(key, value); err != nil {
			return rule{}, err
		}
	}
	if r.cache && r.maxNodes == 0 {
		return rule{}, fmt.Errorf("a cache needs the number of nodes that it may fill to: write %s max=30", r.text)
	}
	return r, nil
}

func (r *rule) set(key, value string) error {
	var err error
	switch {
	case key == "max_nodes" && !r.cache, key == "max" && r.cache:
		r.maxNodes, err = strconv.ParseUint(value, 10, 63)
		if err != nil || r.maxNodes == 0 {
			return fmt.Errorf("%s=%s is not a number of nodes: write a number from 1, %s=30", key, value, key)
		}
	case key == "max_bytes" && !r.cache:
		r.maxBytes, err = parseSize(value)
		if err != nil {
			return fmt.Errorf("max_bytes=%s %w: write a number from 1, max_bytes=4096 or max_bytes=4K", value, err)
		}
	case key == "expires" && !r.cache:
		day, err := time.ParseInLocation(dateLayout, value, time.Local)
		if err != nil {
			return fmt.Errorf("expires=%s is not a date: write year, month and day, expires=2026-12-31", value)
		}
		r.expires = day.AddDate(0, 0, 1)
	case r.cache:
		return fmt.Errorf("%q is no option of cache: write max=NODES (an = in a function's name is written as ?)", key+"=")
	default:
		return fmt.Errorf("%q is no option of leak: write max_nodes=, max_bytes= or expires= (an = in a function's name is written as ?)", key+"=")
	}
	return nil
}

// parseSize reads a number of bytes.
func parseSize(s string) (uint64, error) {
	digits, unit := s, uint64(1)
	switch {
	case strings.HasSuffix(s, "K"):
		digits, unit = s[:len(s)-1], 1<<10
	case strings.HasSuffix(s, "M"):
		digits, unit = s[:len(s)-1], 1<<20
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if hi, n := bits.Mul64(n, unit); err == nil && hi == 0 && n > 0 {
		return n, nil
	}
	return 0, errors.New("is not a size")
}

// Apply sets Suppressed of the call sites that are covered, and adds to Reason
// where a line would cover a site but for its limits or its date; now is when.
// It is meant to be called once for a Growth.
func (s *Suppressions) Apply(g *Growth, now time.Time) {
	for i := range s.rules {
		r := &s.rules[i]
		r.expired = !r.expires.IsZero() && !now.Before(r.expires)
	}
	for i := range g.Sites {
		site := &g.Sites[i]
		var but []string
		chain := namesOf(site.Frames)
		for j := range s.rules {
			r := &s.rules[j]
			if !r.pattern.match(chain) {
				continue
			}
			r.matched = true
			if !site.Verdict.suspicious() {
				continue
			}
			r.needed = true
			switch excess := r.excess(site); {
			case site.Suppressed != "":
			case excess == "":
				site.Suppressed = s.where(r)
			default:
				but = append(but, s.where(r)+": "+excess)
			}
		}
		if site.Suppressed == "" && len(but) > 0 {
			site.Reason = strings.Join(append([]string{site.Reason}, but...), "; ")
		}
	}
}

func (s *Suppressions) where(r *rule) string { return fmt.Sprintf("%s:%d: %s", s.name, r.line, r.text) }

// suspicious reports whether a site with the verdict can count as a leak.
func (v Verdict) suspicious() bool { return v == Confirmed || v == Suspect || v == Inconclusive }

// excess says why the rule does not cover a site that its pattern matches; ""
// if it does.
func (r *rule) excess(s *Site) string {
	leaked := s.LeakedNodes
	if s.Verdict == Inconclusive {
		leaked = max(0, s.Growth) // nothing is known to be leaked, so what grew counts
	}
	bytes := s.LeakedBytes
	if s.Verdict == Inconclusive {
		bytes = uint64(max(0, s.GrowthBytes))
	}
	switch {
	case r.expired:
		return "has expired"
	case r.cache && s.Lost != nil && s.Lost.Direct.Nodes > 0:
		return "no cache holds what no pointer leads to"
	case r.cache:
		if n := s.most(); uint64(n) > r.maxNodes {
			return "it holds " + plain.Plural(n, "node")
		}
	case r.maxNodes > 0 && uint64(leaked) > r.maxNodes:
		return "it leaks " + plain.Plural(leaked, "node")
	case r.maxBytes > 0 && !s.Sized:
		return "the log does not tell sizes, max_nodes= would do"
	case r.maxBytes > 0 && bytes > r.maxBytes:
		return fmt.Sprintf("it leaks %d bytes", bytes)
	}
	return ""
}

// most returns how many nodes the site holds in the listing in which it holds
// the most.
func (s *Site) most() int {
	n := s.peak
	for _, c := range s.Counts {
		n = max(n, c.Nodes)
	}
	return n
}

// Unused returns what is to be said about the lines themselves after Apply, a
// sentence without a full stop each: those that have expired, those that match
// no call site, and those of leak: that accept every leak or whose call sites
// do not leak.
func (s *Suppressions) Unused() []string {
	var all []string
	for i := range s.rules {
		r := &s.rules[i]
		switch {
		case r.expired:
			all = append(all, fmt.Sprintf("%s expired on %s: look whether it still leaks", s.where(r), r.expires.AddDate(0, 0, -1).Format(dateLayout)))
		case r.pattern.all() && !r.cache && r.maxNodes == 0 && r.maxBytes == 0:
			all = append(all, s.where(r)+" accepts every leak, also new ones: name functions")
		case !r.matched:
			all = append(all, s.where(r)+" matches no call site")
		case !r.needed && !r.cache:
			all = append(all, s.where(r)+" is not needed: nothing that it matches leaks here")
		}
	}
	return all
}
