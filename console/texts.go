package console

import "bytes"

// A textSet finds which of a few texts a line contains, in one pass over the
// line whatever their number. Most lines contain none; they cost one look-up
// per byte.
type textSet struct {
	// pairs gives, for each two bytes, the group of texts in which they are
	// the rarest two; 0: none.
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
	if len(line) < 2 {
		return 0
	}
	before := int(line[0])
	for i := 1; i < len(line); i++ {
		c := int(line[i])
		group := s.pairs[before<<8|c]
		before = c
		if group == 0 {
			continue
		}
		for _, e := range s.groups[group] {
			if start := i - 1 - e.at; start >= 0 && bytes.HasPrefix(line[start:], e.text) {
				found |= e.bit
			}
		}
	}
	return found
}

// Bits of lineTexts: dialect i has bit i, the boot texts have those from
// bootBit on.
const (
	bootBit  = 16
	bootBits = uint64(1<<48-1) << bootBit
)

// lineTexts finds the lines that may be more than other output.
var lineTexts = newLineTexts(dialects)

func newLineTexts(dialects []*dialect) *textSet {
	s := new(textSet)
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
	if len(dialects) > bootBit || len(boots) > 64-bootBit {
		panic("console: too many dialects, or texts that devices boot with")
	}
	return s
}
