//! Parser of PDDL problem files: objects with types, initial facts, goal.
//!
//! All results borrow from the (already lower-cased) text: PDDL names ignore case, and the original prints them in
//! lower case.

use crate::error::GameError;

/// Operator of a chain of goals.
pub(crate) const SEQUENCE: &str = "sequence";

/// An atom of the initial state, with up to two arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fact<'a> {
    pub(crate) predicate: &'a str,
    pub(crate) arguments: [&'a str; 2],
    pub(crate) arity: usize,
}

/// A parenthesised expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node<'a> {
    Symbol(&'a str),
    List(Vec<Self>),
}

/// A PDDL problem.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem<'a> {
    /// Name and type of every declared object, in order.
    pub(crate) objects: Vec<(&'a str, &'a str)>,
    pub(crate) facts: Vec<Fact<'a>>,
    pub(crate) goal: Node<'a>,
}

impl<'a> Problem<'a> {
    /// Parses a problem. `text` must be in lower case.
    pub(crate) fn parse(text: &'a str) -> Result<Self, GameError> {
        let mut reader = Reader { text, at: 0 };
        reader.open()?;
        reader.keyword("define")?;
        let (mut objects, mut facts, mut goal) = (None, None, None);
        loop {
            match reader.next()? {
                Token::Close => break,
                Token::Symbol(_) => return Err(reader.error("expected `(`")),
                Token::Open => {}
            }
            match reader.symbol()? {
                ":objects" => objects = Some(reader.objects()?),
                ":init" => facts = Some(reader.facts()?),
                ":goal" => {
                    goal = Some(reader.node()?);
                    reader.close()?;
                }
                _ => reader.skip_to_close()?,
            }
        }
        match (objects, facts, goal) {
            (Some(objects), Some(facts), Some(goal)) => Ok(Self { objects, facts, goal }),
            (None, ..) => Err(reader.error("the problem ends without `:objects`")),
            (_, None, _) => Err(reader.error("the problem ends without `:init`")),
            (_, _, None) => Err(reader.error("the problem ends without `:goal`")),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Open,
    Close,
    Symbol(&'a str),
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// Nesting limit, deeper than in any game; bounds the recursion on hostile input.
const MAX_DEPTH: usize = 64;

impl<'a> Reader<'a> {
    fn error(&self, reason: impl Into<String>) -> GameError {
        let before = &self.text.as_bytes()[..self.at.min(self.text.len())];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        GameError::Syntax { line, reason: reason.into() }
    }

    fn next(&mut self) -> Result<Token<'a>, GameError> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                None => return Err(self.error("the text ends inside an expression")),
                Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c) => self.at += 1,
                Some(b';') => {
                    while bytes.get(self.at).is_some_and(|&byte| byte != b'\n') {
                        self.at += 1;
                    }
                }
                Some(b'(') => {
                    self.at += 1;
                    return Ok(Token::Open);
                }
                Some(b')') => {
                    self.at += 1;
                    return Ok(Token::Close);
                }
                Some(_) => break,
            }
        }
        let start = self.at;
        // All delimiters are ASCII, so the slice boundaries are character boundaries.
        while bytes
            .get(self.at)
            .is_some_and(|byte| !matches!(byte, b' ' | b'\t'..=b'\r' | b'(' | b')' | b';'))
        {
            self.at += 1;
        }
        Ok(Token::Symbol(&self.text[start..self.at]))
    }

    fn open(&mut self) -> Result<(), GameError> {
        if self.next()? == Token::Open { Ok(()) } else { Err(self.error("expected `(`")) }
    }

    fn close(&mut self) -> Result<(), GameError> {
        if self.next()? == Token::Close { Ok(()) } else { Err(self.error("expected `)`")) }
    }

    fn symbol(&mut self) -> Result<&'a str, GameError> {
        match self.next()? {
            Token::Symbol(name) => Ok(name),
            Token::Open | Token::Close => Err(self.error("expected a name")),
        }
    }

    fn keyword(&mut self, word: &str) -> Result<(), GameError> {
        if self.symbol()? == word { Ok(()) } else { Err(self.error(format!("expected `{word}`"))) }
    }

    fn skip_to_close(&mut self) -> Result<(), GameError> {
        let mut depth = 1;
        while depth > 0 {
            match self.next()? {
                Token::Open => depth += 1,
                Token::Close => depth -= 1,
                Token::Symbol(_) => {}
            }
        }
        Ok(())
    }

    fn objects(&mut self) -> Result<Vec<(&'a str, &'a str)>, GameError> {
        let mut objects: Vec<(&str, &str)> = Vec::with_capacity(512);
        let mut typed = 0;
        loop {
            match self.next()? {
                Token::Symbol("-") => {
                    let kind = self.symbol()?;
                    for object in &mut objects[typed..] {
                        object.1 = kind;
                    }
                    typed = objects.len();
                }
                Token::Symbol(name) => objects.push((name, "object")),
                Token::Close => return Ok(objects),
                Token::Open => return Err(self.error("expected an object name or `)`")),
            }
        }
    }

    fn facts(&mut self) -> Result<Vec<Fact<'a>>, GameError> {
        let mut facts = Vec::with_capacity(2048);
        loop {
            match self.next()? {
                Token::Close => return Ok(facts),
                Token::Symbol(_) => return Err(self.error("expected `(` or `)`")),
                Token::Open => {}
            }
            let predicate = self.symbol()?;
            if predicate == "=" {
                // Costs and distances, which the original ignores too.
                self.skip_to_close()?;
                continue;
            }
            let mut fact = Fact { predicate, arguments: [""; 2], arity: 0 };
            loop {
                match self.next()? {
                    Token::Close => break,
                    Token::Symbol(name) if fact.arity < 2 => {
                        fact.arguments[fact.arity] = name;
                        fact.arity += 1;
                    }
                    Token::Symbol(_) | Token::Open => {
                        return Err(self.error(format!("`{predicate}` has more than two arguments")));
                    }
                }
            }
            facts.push(fact);
        }
    }

    fn node(&mut self) -> Result<Node<'a>, GameError> {
        match self.next()? {
            Token::Symbol(name) => Ok(Node::Symbol(name)),
            Token::Close => Err(self.error("expected an expression")),
            Token::Open => self.list(0),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Node<'a>, GameError> {
        if depth > MAX_DEPTH {
            return Err(self.error("the goal is nested too deeply"));
        }
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Token::Symbol(name) => items.push(Node::Symbol(name)),
                Token::Open => items.push(self.list(depth + 1)?),
                Token::Close => return Ok(Node::List(items)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_objects_facts_and_goal() {
        let text = "; a comment (\n(define (problem p) (:domain d)\n(:objects a b - object c - receptacle)\n\
                    (:init (= (total-cost) 0) (holdsany) (inreceptacle a c))\n(:goal (and (not (= a b)))))";
        let problem = Problem::parse(text).unwrap();
        assert_eq!(problem.objects, [("a", "object"), ("b", "object"), ("c", "receptacle")]);
        assert_eq!(problem.facts.len(), 2);
        assert_eq!(problem.facts[1], Fact { predicate: "inreceptacle", arguments: ["a", "c"], arity: 2 });
        assert!(matches!(&problem.goal, Node::List(items) if items[0] == Node::Symbol("and")));
    }

    #[test]
    fn a_truncated_problem_names_the_line() {
        let error = Problem::parse("(define (problem p)\n(:objects a - object").unwrap_err();
        assert_eq!(error.to_string(), "line 2 of `pddl_problem`: the text ends inside an expression");
        let error = Problem::parse("(define (:objects) (:init))").unwrap_err();
        assert!(error.to_string().contains("without `:goal`"), "{error}");
        let error = Problem::parse(&format!("(define (:goal {}", "(".repeat(1000))).unwrap_err();
        assert!(error.to_string().contains("too deeply"), "{error}");
    }
}
