package agent

import (
	"errors"
	"math/big"
	"regexp"
	"strings"
)

const (
	maxSumChars    = 200
	maxSumExponent = 1000
	maxSumBits     = 4096 // of a number's numerator and denominator
	sumDecimals    = 10
)

var (
	errSum      = errors.New("not arithmetic")
	errSumZero  = errors.New("division by zero")
	errSumLarge = errors.New("too large")

	demoSumOnly = regexp.MustCompile(`^(?:(?:what(?:'s| is| are)|how much is|calculate|compute|solve|and|please|=|:|,) *)*([-(\d.][\d\s.()+*/^-]*[\d)])[\s=?!.]*(?:please)?[\s=?!.]*$`)
)

// arithmetic answers a sum, such as "what is 12*7" or "3 plus 4 times 2".
func (t *demoTalk) arithmetic() string {
	if len(t.lower) > maxSumChars {
		return ""
	}
	text := strings.NewReplacer(
		"divided by", "/", "multiplied by", "*", "to the power of", "^",
		"plus", "+", "minus", "-", "times", "*", "×", "*", "÷", "/", "−", "-", "**", "^",
	).Replace(t.lower)
	text = demoTimes.ReplaceAllString(text, "$1*")
	m := demoSumOnly.FindStringSubmatch(text)
	if m == nil || !strings.ContainsAny(m[1], "+*/^-") {
		return ""
	}
	value, err := sum(m[1])
	switch {
	case errors.Is(err, errSumZero):
		return demoSumZero
	case errors.Is(err, errSumLarge):
		return demoSumTooLarge
	case err != nil:
		return ""
	}
	return strings.Join(strings.Fields(m[1]), " ") + formatSum(value)
}

// demoTimes is an x between numbers.
var demoTimes = regexp.MustCompile(`([\d)] *)x(?: *)`)

// sum reckons an expression of numbers, + - * / ^ and parentheses, exactly.
func sum(text string) (*big.Rat, error) {
	p := sumParser{rest: text}
	value, err := p.terms()
	if err == nil && p.peek() != 0 {
		err = errSum
	}
	return value, err
}

// sumParser is a recursive descent over at most maxSumChars characters, which
// also bounds its depth.
type sumParser struct{ rest string }

func (p *sumParser) peek() byte {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	if p.rest == "" {
		return 0
	}
	return p.rest[0]
}

func (p *sumParser) terms() (*big.Rat, error) {
	value, err := p.factors()
	for err == nil {
		op := p.peek()
		if op != '+' && op != '-' {
			return value, nil
		}
		p.rest = p.rest[1:]
		var next *big.Rat
		if next, err = p.factors(); err != nil {
			break
		}
		if op == '-' {
			next.Neg(next)
		}
		value, err = bounded(value.Add(value, next))
	}
	return nil, err
}

func (p *sumParser) factors() (*big.Rat, error) {
	value, err := p.signed()
	for err == nil {
		op := p.peek()
		if op != '*' && op != '/' {
			return value, nil
		}
		p.rest = p.rest[1:]
		var next *big.Rat
		if next, err = p.signed(); err != nil {
			break
		}
		if op == '/' {
			if next.Sign() == 0 {
				return nil, errSumZero
			}
			next.Inv(next)
		}
		value, err = bounded(value.Mul(value, next))
	}
	return nil, err
}

func (p *sumParser) signed() (*big.Rat, error) {
	switch p.peek() {
	case '-':
		p.rest = p.rest[1:]
		value, err := p.signed()
		if err != nil {
			return nil, err
		}
		return value.Neg(value), nil
	case '+':
		p.rest = p.rest[1:]
		return p.signed()
	}
	return p.power()
}

func (p *sumParser) power() (*big.Rat, error) {
	base, err := p.atom()
	if err != nil || p.peek() != '^' {
		return base, err
	}
	p.rest = p.rest[1:]
	exponent, err := p.signed()
	if err != nil {
		return nil, err
	}
	if !exponent.IsInt() {
		return nil, errSum
	}
	if exponent.Num().CmpAbs(big.NewInt(maxSumExponent)) > 0 {
		return nil, errSumLarge
	}
	n := exponent.Num().Int64()
	if n < 0 {
		if base.Sign() == 0 {
			return nil, errSumZero
		}
		base.Inv(base)
		n = -n
	}
	value := big.NewRat(1, 1)
	for range n {
		if value, err = bounded(value.Mul(value, base)); err != nil {
			return nil, err
		}
	}
	return value, nil
}

func (p *sumParser) atom() (*big.Rat, error) {
	if p.peek() == '(' {
		p.rest = p.rest[1:]
		value, err := p.terms()
		if err != nil {
			return nil, err
		}
		if p.peek() != ')' {
			return nil, errSum
		}
		p.rest = p.rest[1:]
		return value, nil
	}
	n := 0
	for n < len(p.rest) && (p.rest[n] >= '0' && p.rest[n] <= '9' || p.rest[n] == '.') {
		n++
	}
	value, ok := new(big.Rat).SetString(p.rest[:n])
	if !ok {
		return nil, errSum
	}
	p.rest = p.rest[n:]
	return value, nil
}

func bounded(value *big.Rat) (*big.Rat, error) {
	if value.Num().BitLen() > maxSumBits || value.Denom().BitLen() > maxSumBits {
		return nil, errSumLarge
	}
	return value, nil
}

// formatSum is value behind an equals sign, or behind one for "nearly".
func formatSum(value *big.Rat) string {
	if value.IsInt() {
		return " = " + value.Num().String()
	}
	digits := strings.TrimRight(strings.TrimRight(value.FloatString(sumDecimals), "0"), ".")
	if places, exact := value.FloatPrec(); exact && places <= sumDecimals {
		return " = " + digits
	}
	return " ≈ " + digits
}
