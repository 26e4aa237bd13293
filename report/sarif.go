package report

import (
	"bufio"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
)

// The parts of SARIF 2.1.0 that are written; see the OASIS standard "Static
// Analysis Results Interchange Format (SARIF) Version 2.1.0".
type (
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifRule struct {
		ID               string        `json:"id"`
		Name             string        `json:"name"`
		ShortDescription sarifMessage  `json:"shortDescription"`
		FullDescription  sarifMessage  `json:"fullDescription"`
		Default          sarifSeverity `json:"defaultConfiguration"`
	}
	sarifSeverity struct {
		Level string `json:"level"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifPhysical struct {
		Artifact *sarifArtifact `json:"artifactLocation,omitempty"`
		Region   *sarifRegion   `json:"region,omitempty"`
		Address  *sarifAddress  `json:"address,omitempty"`
	}
	sarifAddress struct {
		Absolute uint64 `json:"absoluteAddress"`
	}
	sarifLogical struct {
		Name string `json:"name"`
		Kind string `json:"kind"`
	}
	sarifLocation struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifFrame struct {
		Location sarifLocation `json:"location"`
	}
	sarifStack struct {
		Message sarifMessage `json:"message"`
		Frames  []sarifFrame `json:"frames"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifMessage       `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Stacks       []sarifStack       `json:"stacks,omitempty"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Baseline     string             `json:"baselineState,omitempty"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
		Properties   any                `json:"properties,omitempty"`
	}
	sarifNotification struct {
		Level   string       `json:"level"`
		Message sarifMessage `json:"message"`
	}
)

const sarifSchema = "https://json.schemastore.org/sarif-2.1.0.json"

// SARIF writes the document as a SARIF 2.1.0 log, which code scanning tools
// read: a result for each call site that leaks or is suspected to, and for each
// finding. A result lies where the first interesting frame has a line or, if
// none has, where in the log it was seen; its partial fingerprint is made of the
// chain of functions, so that it is the same result while lines and addresses
// move. What is suppressed has a suppression; with a baseline, results are new
// or unchanged. Warnings and notes are notifications of the run.
func SARIF(w io.Writer, d *Document, o Options) error {
	d = d.relative(o)
	rules := sarifRules(d)
	out := &doc{w: bufio.NewWriter(w)}
	out.raw("{\"$schema\":")
	out.value(sarifSchema)
	out.raw(",\n\"version\":\"2.1.0\",\n\"runs\":[{\"tool\":{\"driver\":{\"name\":\"heapwright\",\"informationUri\":\"https://github.com/heapwright/heapwright\"")
	if o.Version != "" {
		out.raw(",\"version\":")
		out.value(o.Version)
	}
	out.raw(",\n\"rules\":[")
	index := map[string]int{}
	for i, r := range rules {
		index[r.ID] = i
		out.separate(i)
		out.value(r)
	}
	out.raw("]}},\n\"results\":[")
	n := 0
	for a := range alerts(d) {
		out.separate(n)
		n++
		out.value(newSARIFResult(&a, index[a.rule], d.Baseline))
	}
	out.raw("],\n\"invocations\":[{\"executionSuccessful\":true,\"toolExecutionNotifications\":")
	out.value(sarifNotifications(d))
	out.raw("}]}]}\n")
	if err := out.w.Flush(); err != nil {
		return err
	}
	return out.err
}

// sarifRules returns the rules that d breaks, in the order of their results.
func sarifRules(d *Document) []sarifRule {
	rules := []sarifRule{}
	seen := map[string]bool{}
	for a := range alerts(d) {
		if seen[a.rule] {
			continue
		}
		seen[a.rule] = true
		short, full := ruleText(a.rule)
		rules = append(rules, sarifRule{
			ID: a.rule, Name: pascal(a.rule), ShortDescription: sarifMessage{short}, FullDescription: sarifMessage{full},
			Default: sarifSeverity{a.level()},
		})
	}
	return rules
}

// level is how grave an alert is in the words of SARIF.
func (a *alert) level() string {
	if a.failure {
		return "error"
	}
	return "warning"
}

// ruleText describes a rule.
func ruleText(rule string) (short, full string) {
	switch rule {
	case siteRule(leak.Confirmed):
		return "Memory leak", "New nodes of this call site keep coming and old ones are never freed, or nothing points to them any more; chance is excluded."
	case siteRule(leak.Suspect):
		return "Suspected memory leak", "Nodes of this call site seem never to be freed, but too little was seen to exclude chance."
	}
	group, kind, _ := strings.Cut(rule, "/")
	kind = strings.ReplaceAll(kind, "-", " ")
	if group == "wild-pointer" {
		return "Wrong pointer: " + kind, "A pointer was freed or reallocated that no allocation has returned, or no longer (" + kind + ")."
	}
	return "Heap corruption: " + kind, "Memory that belongs to the heap itself was overwritten (" + kind + ")."
}

// pascal makes a name of a rule's identifier: HeapLeakConfirmed.
func pascal(rule string) string {
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(rule, func(r rune) bool { return r == '/' || r == '-' }) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

func newSARIFResult(a *alert, index int, compared bool) sarifResult {
	r := sarifResult{
		RuleID: a.rule, RuleIndex: index, Level: a.level(), Message: sarifMessage{a.message},
		Locations:    a.sarifLocations(),
		Fingerprints: map[string]string{"callChain/v1": a.fingerprint},
	}
	for _, s := range a.stacks {
		stack := sarifStack{sarifMessage{s.name}, []sarifFrame{}}
		for _, f := range s.frames {
			stack.Frames = append(stack.Frames, sarifFrame{frameLocation(f)})
		}
		r.Stacks = append(r.Stacks, stack)
	}
	if s := a.site; s != nil {
		switch {
		case s.Baseline:
			r.Baseline = "unchanged"
		case compared:
			r.Baseline = "new"
		}
		if s.Suppressed != "" {
			r.Suppressions = []sarifSuppression{{"external", "accepted", plain.Clean(s.Suppressed)}}
		}
		r.Properties = struct {
			Rank int    `json:"rank"`
			Pool string `json:"pool"`
			jsonSite
		}{a.rank, s.Pool, newJSONSite(s)}
	}
	return r
}

// sarifLocations is where an alert lies in the source code or, if that is not
// known, in the log.
func (a *alert) sarifLocations() []sarifLocation {
	var l sarifLocation
	if f, ok := a.place(); ok {
		l = frameLocation(f)
	} else if file, line, ok := heap.SplitSource(a.source); ok && file != heap.Stdin {
		l.Physical = &sarifPhysical{Artifact: &sarifArtifact{fileURI(file)}, Region: &sarifRegion{line}}
	}
	if len(a.frames) > 0 {
		l.Logical = logical(a.frames[0])
	}
	if l.Physical == nil && l.Logical == nil {
		return []sarifLocation{}
	}
	return []sarifLocation{l}
}

// frameLocation is where a frame lies: at a line, else at an address.
func frameLocation(f heap.Frame) sarifLocation {
	l := sarifLocation{Logical: logical(f)}
	if f.File != "" {
		l.Physical = &sarifPhysical{Artifact: &sarifArtifact{fileURI(f.File)}}
		if f.Line > 0 {
			l.Physical.Region = &sarifRegion{f.Line}
		}
	} else {
		l.Physical = &sarifPhysical{Address: &sarifAddress{uint64(f.Addr)}}
	}
	return l
}

func logical(f heap.Frame) []sarifLogical {
	if f.Function == "" {
		return nil
	}
	return []sarifLogical{{plain.Clean(f.Function), "function"}}
}

// fileURI makes a URI reference of the name of a file, of Windows too.
func fileURI(name string) string {
	name = strings.ReplaceAll(name, `\`, "/")
	u := url.URL{Path: name}
	switch {
	case len(name) > 2 && name[1] == ':' && name[2] == '/':
		u.Scheme, u.Path = "file", "/"+name
	case strings.HasPrefix(name, "/"):
		u.Scheme = "file"
	}
	return u.String()
}

// sarifNotifications are the warnings and notes of d.
func sarifNotifications(d *Document) []sarifNotification {
	notes := d.Notes
	all := []sarifNotification{}
	if d.Growth != nil {
		all = append(all, sarifNotification{"note", sarifMessage{verdicts(newView(d.Growth))}})
		notes = slices.Concat(growthNotes(d.Growth), notes)
	}
	for _, s := range d.Warnings {
		all = append(all, sarifNotification{"warning", sarifMessage{plain.Clean(s)}})
	}
	for _, n := range notes {
		all = append(all, sarifNotification{"note", sarifMessage{plain.Clean(n)}})
	}
	return all
}
