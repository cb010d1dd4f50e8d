//! Follows types through a template: every name it reads must exist, and what it renders is known to be trusted or not.
//!
//! This walks MiniJinja's own syntax tree, not the list of its undeclared names: only the tree knows that `d` in
//! `{% for d in steps.docs.items %}` is a retrieved passage, so that `d.txet` is found before the first request.

mod call;
mod expression;
mod name;

use std::collections::BTreeMap;

use minijinja::machinery::{Span, ast};

use self::{expression::vouched, name::path};
use yaml::{Position, Problems};

use super::{
    template::{self, Template},
    templated::Templated,
    types::{Field, Type},
};

/// What templates at one place of a chain can see.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// `input`, `params`, and what the steps around the place bind. An optional one may be null.
    pub(crate) names: BTreeMap<String, Field>,
    /// By id. A step is typed when its turn comes, which is before that of the steps that read it. An optional one may have
    /// been skipped, and is null then.
    pub(crate) steps: BTreeMap<String, Field>,
    /// There are steps whose id could not be read.
    pub(crate) open: bool,
    /// Paths that exist, and are not null, where this place is reached: a `when` has asked.
    pub(crate) vouched: Vec<String>,
}

impl Scope {
    pub(crate) fn new(input: Type, params: Type) -> Self {
        let names = [("input", input), ("params", params)];
        Self {
            names: names.map(|(name, of)| (name.to_owned(), Field::always(of))).into(),
            steps: BTreeMap::new(),
            open: false,
            vouched: Vec::new(),
        }
    }

    /// Where this condition was found to be true.
    pub(crate) fn where_true(&self, condition: &Templated) -> Self {
        let mut scope = self.clone();
        condition.vouch(&mut scope.vouched);
        scope
    }

    pub(crate) fn with(&self, name: &str, field: Field) -> Self {
        let mut scope = self.clone();
        scope.names.insert(name.to_owned(), field);
        scope
    }
}

/// A place that untrusted text must not get into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sink {
    pub(crate) what: &'static str,
    pub(crate) help: &'static str,
}

/// The type of what `template` gives. What it renders into a `sink` must be trusted.
pub(crate) fn infer(template: &Template, scope: &Scope, sink: Option<Sink>, problems: &Problems) -> Type {
    let Ok(tree) = template::parse(template.source()) else {
        return Type::ANY;
    };
    let mut typing = Typing::new(template, scope, sink, problems);
    let ast::Stmt::Template(root) = &tree else {
        return Type::ANY;
    };
    match root.children.as_slice() {
        [ast::Stmt::EmitExpr(emit)] if template.is_expression() => {
            let of = typing.expression(&emit.expr);
            typing.check_sink(&of, &emit.expr);
            of
        }
        statements => Type::Text {
            untrusted: typing.scoped(BTreeMap::new(), statements),
        },
    }
}

/// Follows a template that is only asked whether what it gives is true.
pub(crate) fn condition(template: &Template, scope: &Scope, problems: &Problems) {
    let Ok(tree) = template::parse(template.source()) else {
        return;
    };
    if let ast::Stmt::Template(root) = &tree
        && let [ast::Stmt::EmitExpr(emit)] = root.children.as_slice()
    {
        Typing::new(template, scope, None, problems).condition(&emit.expr);
    }
}

/// Adds the paths that exist, and are not null, where this expression is true.
pub(crate) fn vouch(template: &Template, paths: &mut Vec<String>) {
    if let Ok(ast::Stmt::Template(root)) = template::parse(template.source())
        && let [ast::Stmt::EmitExpr(emit)] = root.children.as_slice()
    {
        vouched(&emit.expr, paths);
    }
}

struct Typing<'t> {
    template: &'t Template,
    scope: &'t Scope,
    sink: Option<Sink>,
    problems: &'t Problems,
    /// Names bound by `for`, `with` and `set`, innermost last.
    locals: Vec<BTreeMap<String, Type>>,
    /// Paths that an `is defined` around this place vouches for.
    defined: Vec<String>,
}

impl<'t> Typing<'t> {
    fn new(template: &'t Template, scope: &'t Scope, sink: Option<Sink>, problems: &'t Problems) -> Self {
        Self {
            template,
            scope,
            sink,
            problems,
            locals: Vec::new(),
            defined: scope.vouched.clone(),
        }
    }
}

impl Typing<'_> {
    /// Whether what the statements render is untrusted. What they `set` is gone behind them.
    fn scoped(&mut self, bound: BTreeMap<String, Type>, statements: &[ast::Stmt<'_>]) -> bool {
        self.locals.push(bound);
        let untrusted = self.statements(statements);
        self.locals.pop();
        untrusted
    }

    fn statements(&mut self, statements: &[ast::Stmt<'_>]) -> bool {
        let mut untrusted = false;
        for statement in statements {
            untrusted |= self.statement(statement);
        }
        untrusted
    }

    fn statement(&mut self, statement: &ast::Stmt<'_>) -> bool {
        match statement {
            ast::Stmt::Template(template) => self.statements(&template.children),
            ast::Stmt::EmitRaw(_) => false,
            ast::Stmt::EmitExpr(emit) => {
                let of = self.expression(&emit.expr);
                self.check_sink(&of, &emit.expr);
                of.is_untrusted()
            }
            ast::Stmt::ForLoop(each) => self.for_loop(each),
            ast::Stmt::IfCond(condition) => {
                self.condition(&condition.expr);
                let known = self.defined.len();
                vouched(&condition.expr, &mut self.defined);
                let then = self.statements(&condition.true_body);
                self.defined.truncate(known);
                self.statements(&condition.false_body) || then
            }
            ast::Stmt::WithBlock(with) => {
                let mut bound = BTreeMap::new();
                for (target, value) in &with.assignments {
                    let of = self.expression(value);
                    bind(target, &of, &mut bound);
                }
                self.scoped(bound, &with.body)
            }
            ast::Stmt::Set(set) => {
                let of = self.expression(&set.expr);
                self.set(&set.target, &of);
                false
            }
            ast::Stmt::SetBlock(set) => {
                let of = Type::Text {
                    untrusted: self.scoped(BTreeMap::new(), &set.body),
                };
                let of = set
                    .filter
                    .as_ref()
                    .map_or(of.clone(), |filter| self.filtered(filter, of));
                self.set(&set.target, &of);
                false
            }
            ast::Stmt::AutoEscape(block) => {
                self.expression(&block.enabled);
                self.statements(&block.body)
            }
            ast::Stmt::FilterBlock(block) => {
                let of = Type::Text {
                    untrusted: self.statements(&block.body),
                };
                self.filtered(&block.filter, of).is_untrusted()
            }
            ast::Stmt::Do(call) => {
                self.call(&call.call);
                false
            }
        }
    }

    fn for_loop(&mut self, each: &ast::ForLoop<'_>) -> bool {
        let over = self.expression(&each.iter);
        let item = match over {
            Type::List(item) => *item,
            Type::Any { untrusted } => Type::Any { untrusted },
            // Iterating an object gives its keys.
            Type::Object { .. } => Type::Text {
                untrusted: over.is_untrusted(),
            },
            Type::Null | Type::Text { .. } | Type::Choice(_) | Type::Number | Type::Boolean => {
                let message = format!("this is {}: `for` needs a list", over.describe());
                let help = "text becomes a list with `| lines`, or with `| split(',')`";
                self.problems.add(self.at(each.iter.span()), message, help);
                Type::ANY
            }
        };
        let mut bound = BTreeMap::from([("loop".to_owned(), loop_type(&item))]);
        bind(&each.target, &item, &mut bound);
        self.locals.push(bound);
        if let Some(filter) = &each.filter_expr {
            self.condition(filter);
        }
        let body = self.statements(&each.body);
        self.locals.pop();
        self.statements(&each.else_body) || body
    }

    /// An `if` around it does not end what it sets: a name that was untrusted on one way stays so.
    fn set(&mut self, target: &ast::Expr<'_>, of: &Type) {
        let Some(innermost) = self.locals.last_mut() else {
            return;
        };
        let mut bound = BTreeMap::new();
        bind(target, of, &mut bound);
        for (name, of) in bound {
            let before = innermost.get(&name).is_some_and(Type::is_untrusted);
            innermost.insert(name, of.tainted(before));
        }
    }

    fn check_sink(&mut self, of: &Type, expression: &ast::Expr<'_>) {
        if let Some(Sink { what, help }) = self.sink
            && of.is_untrusted()
        {
            let named = self.untrusted(expression);
            let named = named.map_or_else(String::new, |path| format!(": `{path}`"));
            let message = format!("untrusted text in {what}{named}");
            self.problems.add(self.at(expression.span()), message, help);
        }
    }

    /// The first path in it that gives untrusted text, as it is written.
    fn untrusted(&mut self, expression: &ast::Expr<'_>) -> Option<String> {
        if let Some(path) = path(expression) {
            return self.maybe_absent(expression).is_untrusted().then_some(path);
        }
        match expression {
            ast::Expr::Filter(filter) => self.untrusted(filter.expr.as_ref()?),
            ast::Expr::GetAttr(attribute) => self.untrusted(&attribute.expr),
            ast::Expr::GetItem(item) => self.untrusted(&item.expr),
            ast::Expr::Slice(slice) => self.untrusted(&slice.expr),
            ast::Expr::BinOp(binary) => {
                let left = self.untrusted(&binary.left);
                left.or_else(|| self.untrusted(&binary.right))
            }
            ast::Expr::IfExpr(choice) => {
                let then = self.untrusted(&choice.true_expr);
                then.or_else(|| self.untrusted(choice.false_expr.as_ref()?))
            }
            _ => None,
        }
    }

    fn problem(&mut self, span: Span, message: String) {
        self.problems.add_plain(self.at(span), message);
    }

    /// The tree has no place for the name of a filter or test: it is where the word first stands.
    fn problem_at_name(&mut self, name: &str, message: &str) {
        let source = self.template.source();
        let at = source.find(name).map_or(0..0, |start| start..start + name.len());
        let help = "the filters and tests are those of MiniJinja: https://docs.rs/minijinja/latest/minijinja/filters/";
        self.problems.add(
            self.template.position_of(at.start, at.end),
            format!("{message} `{name}`"),
            help,
        );
    }

    fn at(&self, span: Span) -> Position {
        self.template
            .position_of(span.start_offset as usize, span.end_offset as usize)
    }
}

/// Binds the names of a target: one name takes the type, several take what is in it.
fn bind(target: &ast::Expr<'_>, of: &Type, bound: &mut BTreeMap<String, Type>) {
    match target {
        ast::Expr::Var(var) => {
            bound.insert(var.id.to_owned(), of.clone());
        }
        ast::Expr::List(list) => {
            let part = Type::Any {
                untrusted: of.is_untrusted(),
            };
            for item in &list.items {
                bind(item, &part, bound);
            }
        }
        _ => {}
    }
}

/// The `loop` in a `for` over these items.
fn loop_type(item: &Type) -> Type {
    let numbers = ["index", "index0", "revindex", "revindex0", "length", "depth", "depth0"];
    let numbers = numbers.map(|name| (name, Type::Number));
    let ends = [("first", Type::Boolean), ("last", Type::Boolean)];
    let neighbours = [("previtem", item.clone()), ("nextitem", item.clone())];
    Type::object(numbers.into_iter().chain(ends).chain(neighbours))
}
