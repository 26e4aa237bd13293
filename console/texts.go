package console

import "bytes"

// A textSet finds which of a few texts a line contains, in one pass over the
// line whatever their number. It goes by the rarest two neighbouring bytes of
// each text. Most lines contain none of these; they cost two look-ups per byte.
type textSet struct {
	// first and second give the buckets in which a byte is the first or the
	// second of such a pair, one bit each: no common bit, no pair.
	first, second [256]uint16
	// pairs gives the group of texts that have the pair; 0: none.
	pairs  [1 << 16]uint8
	groups [][]textEntry // from 1
}

type textEntry struct {
	text []byte
	at   int // of the rarest pair in the text
	bit  uint64
}

// add makes find set bit for lines that contain text, which must be at least
// two bytes long.
func (s *textSet) add(text string, bit uint64) {
	at, best := 0, -1
	for i := range len(text) - 1 {
		if r := rarity(text[i]) + rarity(text[i+1]); r > best {
			at, best = i, r
		}
	}
	pair := &s.pairs[int(text[at])<<8|int(text[at+1])]
	if *pair == 0 {
		if len(s.groups) == 0 {
			s.groups = make([][]textEntry, 1)
		}
		if len(s.groups) > 255 {
			panic("console: too many texts to look for")
		}
		*pair = uint8(len(s.groups))
		bucket := uint16(1) << (*pair % 16)
		s.first[text[at]] |= bucket
		s.second[text[at+1]] |= bucket
		s.groups = append(s.groups, nil)
	}
	s.groups[*pair] = append(s.groups[*pair], textEntry{[]byte(text), at, bit})
}

// rarity guesses how seldom a character stands in a log.
func rarity(c byte) int {
	switch {
	case c == ' ' || c == '0':
		return 0
	case c >= 'a' && c <= 'z', c >= '1' && c <= '9', c == 'x':
		return 1
	}
	return 3
}

// find returns the bits of the texts that line contains.
func (s *textSet) find(line []byte) (found uint64) {
	var before uint16
	for i, c := range line {
		both := before & s.second[c]
		before = s.first[c]
		if both == 0 {
			continue
		}
		for _, e := range s.groups[s.pairs[int(line[i-1])<<8|int(c)]] {
			if start := i - 1 - e.at; start >= 0 && bytes.HasPrefix(line[start:], e.text) {
				found |= e.bit
			}
		}
	}
	return found
}

// Bits of lineTexts: dialect i has bit i, the reader's own texts and the boot
// texts have those behind.
const (
	ownBit      = 12
	bootBit     = 20
	dialectBits = uint64(1)<<ownBit - 1
	bootBits    = ^uint64(0) &^ (1<<bootBit - 1)
)

// The reader's own texts.
const (
	infoText   = 1 << (ownBit + iota) // head of pool information
	freeText                          // command free
	taskText                          // head of a task table
	echoText                          // command memused
	recordText                        // a piece of an event stream
	switchText                        // a command that begins or ends one
	reportText                        // one of reportTexts
	systemText                        // one of systemTexts
)

var ownTexts = []struct {
	text string
	bit  uint64
}{
	{"pool addr", infoText},
	{"# free", freeText},
	{"TID", taskText},
	{"# memused", echoText},
	{"~!", recordText},
	{"~^", recordText},
	{"*^", recordText},
	{"$^", recordText},
	{"!~", recordText},
	{"Rec:error", recordText},
	{"memshow", switchText},
}

// lineTexts finds the lines that may be more than other output.
var lineTexts = newLineTexts(dialects)

func newLineTexts(dialects []*dialect) *textSet {
	s := new(textSet)
	for _, own := range ownTexts {
		s.add(own.text, own.bit)
	}
	for _, group := range reportTexts.groups {
		for _, e := range group {
			s.add(string(e.text), reportText)
		}
	}
	for _, system := range systems {
		for _, text := range system.texts {
			s.add(text, systemText)
		}
	}
	boots := map[string]bool{}
	for i, d := range dialects {
		for _, text := range d.keys {
			s.add(text, 1<<i)
		}
		for _, text := range d.boot {
			if !boots[text] {
				s.add(text, 1<<(bootBit+len(boots)))
				boots[text] = true
			}
		}
	}
	if len(dialects) > ownBit || len(boots) > 64-bootBit {
		panic("console: too many dialects, or texts that devices boot with")
	}
	return s
}
