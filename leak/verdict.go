package leak

// Verdict is what a series of listings proves about a call site.
type Verdict string

// The verdicts, the gravest first.
const (
	// Confirmed: the site leaks; the chance that it does not, over all sites
	// with this verdict, is one in twenty.
	Confirmed Verdict = "CONFIRMED"
	// Suspect: it looks like a leak, but too little was seen to exclude chance.
	Suspect Verdict = "SUSPECT"
	// Inconclusive: it grew, and the listings cannot tell what that means.
	Inconclusive Verdict = "INCONCLUSIVE"
	// Stable: it does not leak as far as the listings show.
	Stable Verdict = "STABLE"
)

// Verdicts lists all verdicts, the gravest first.
var Verdicts = []Verdict{Confirmed, Suspect, Inconclusive, Stable}
