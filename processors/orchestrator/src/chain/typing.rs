//! Follows types through a template: every name it reads must exist, and what it renders is known to be trusted or not.
//!
//! This walks MiniJinja's own syntax tree, not the list of its undeclared names: only the tree knows that `d` in
//! `{% for d in steps.docs.items %}` is a retrieved passage, so that `d.txet` is found before the first request.

use std::collections::BTreeMap;

use minijinja::machinery::{Span, ast};

use super::{
    problem::Problems,
    template::{self, Template},
    types::{Field, Type},
};

/// The names every template may read.
const ROOTS: [&str; 3] = ["input", "params", "steps"];

/// What templates of one chain can see.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) input: Type,
    pub(crate) params: Type,
    /// By id, those that are typed already: steps are typed in the order in which they run.
    pub(crate) steps: BTreeMap<String, Type>,
}

/// The type of what `template` gives. `sink` tells what untrusted text must not get into, if it must not.
pub(crate) fn infer(template: &Template, scope: &Scope, sink: Option<&str>, problems: &mut Problems) -> Type {
    let Ok(tree) = template::parse(template.source()) else {
        return Type::ANY;
    };
    let mut typing = Typing {
        template,
        scope,
        sink,
        problems,
        locals: Vec::new(),
        defined: Vec::new(),
    };
    let ast::Stmt::Template(root) = &tree else {
        return Type::ANY;
    };
    match root.children.as_slice() {
        [ast::Stmt::EmitExpr(emit)] if template.is_expression() => {
            let of = typing.expression(&emit.expr);
            typing.check_sink(&of, emit.expr.span());
            of
        }
        statements => Type::Text {
            untrusted: typing.statements(statements),
        },
    }
}

struct Typing<'t> {
    template: &'t Template,
    scope: &'t Scope,
    sink: Option<&'t str>,
    problems: &'t mut Problems,
    /// Names bound by `for`, `with` and `set`, innermost last.
    locals: Vec<BTreeMap<String, Type>>,
    /// Paths that an `is defined` around this place vouches for.
    defined: Vec<String>,
}

impl Typing<'_> {
    /// Whether what the statements render is untrusted.
    fn statements(&mut self, statements: &[ast::Stmt<'_>]) -> bool {
        self.locals.push(BTreeMap::new());
        let untrusted = statements
            .iter()
            .fold(false, |untrusted, statement| self.statement(statement) || untrusted);
        self.locals.pop();
        untrusted
    }

    fn statement(&mut self, statement: &ast::Stmt<'_>) -> bool {
        match statement {
            ast::Stmt::Template(template) => self.statements(&template.children),
            ast::Stmt::EmitRaw(_) => false,
            ast::Stmt::EmitExpr(emit) => {
                let of = self.expression(&emit.expr);
                self.check_sink(&of, emit.expr.span());
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
                self.locals.push(bound);
                let untrusted = self.statements(&with.body);
                self.locals.pop();
                untrusted
            }
            ast::Stmt::Set(set) => {
                let of = self.expression(&set.expr);
                self.set(&set.target, &of);
                false
            }
            ast::Stmt::SetBlock(set) => {
                let of = Type::Text {
                    untrusted: self.statements(&set.body),
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
            Type::Object { .. } => Type::TEXT,
            Type::Null | Type::Text { .. } | Type::Number | Type::Boolean => {
                let message = format!("this is {}: `for` needs a list", over.describe());
                self.problem(each.iter.span(), message);
                Type::ANY
            }
        };
        let mut bound = BTreeMap::from([("loop".to_owned(), Type::ANY)]);
        bind(&each.target, &item, &mut bound);
        self.locals.push(bound);
        if let Some(filter) = &each.filter_expr {
            self.condition(filter);
        }
        let body = self.statements(&each.body);
        self.locals.pop();
        self.statements(&each.else_body) || body
    }

    fn set(&mut self, target: &ast::Expr<'_>, of: &Type) {
        if let Some(innermost) = self.locals.last_mut() {
            bind(target, of, innermost);
        }
    }

    fn expression(&mut self, expression: &ast::Expr<'_>) -> Type {
        match expression {
            ast::Expr::Var(var) => self.name(var.id, var.span()),
            ast::Expr::Const(constant) => constant_type(&constant.value),
            ast::Expr::Slice(slice) => {
                for bound in [&slice.start, &slice.stop, &slice.step].into_iter().flatten() {
                    self.expression(bound);
                }
                self.expression(&slice.expr)
            }
            ast::Expr::UnaryOp(unary) => {
                let of = self.expression(&unary.expr);
                match unary.op {
                    ast::UnaryOpKind::Not => Type::Boolean,
                    ast::UnaryOpKind::Neg => of,
                }
            }
            ast::Expr::BinOp(binary) => self.binary(binary),
            ast::Expr::Compare(compare) => {
                self.expression(&compare.expr);
                for operand in &compare.ops {
                    self.expression(&operand.expr);
                }
                Type::Boolean
            }
            ast::Expr::IfExpr(choice) => {
                self.condition(&choice.test_expr);
                let known = self.defined.len();
                vouched(&choice.test_expr, &mut self.defined);
                let then = self.expression(&choice.true_expr);
                self.defined.truncate(known);
                match &choice.false_expr {
                    Some(otherwise) => then.or(&self.expression(otherwise)),
                    None => then,
                }
            }
            ast::Expr::Filter(filter) => self.filter(filter, None),
            ast::Expr::Test(test) => {
                self.test(test);
                Type::Boolean
            }
            ast::Expr::GetAttr(attribute) => self.attribute(attribute, expression, true),
            ast::Expr::GetItem(item) => self.item(item, expression),
            ast::Expr::Call(call) => self.call(call),
            ast::Expr::List(list) => {
                let items = list.items.iter().map(|item| self.expression(item)).reduce(|one, other| one.or(&other));
                Type::list(items.unwrap_or(Type::ANY))
            }
            ast::Expr::Map(map) => {
                for key in &map.keys {
                    self.expression(key);
                }
                let values = map.values.iter().map(|value| self.expression(value)).reduce(|one, other| one.or(&other));
                Type::Any {
                    untrusted: values.is_some_and(|of| of.is_untrusted()),
                }
            }
        }
    }

    /// An expression that is only asked whether it is true.
    fn condition(&mut self, expression: &ast::Expr<'_>) {
        // In `x is defined and x.y` the right side stands under the guard of the left.
        if let ast::Expr::BinOp(binary) = expression
            && matches!(binary.op, ast::BinOpKind::ScAnd)
        {
            self.condition(&binary.left);
            let known = self.defined.len();
            vouched(&binary.left, &mut self.defined);
            self.condition(&binary.right);
            self.defined.truncate(known);
            return;
        }
        self.expression(expression);
    }

    fn binary(&mut self, binary: &ast::BinOp<'_>) -> Type {
        let left = self.expression(&binary.left);
        let right = self.expression(&binary.right);
        let untrusted = left.is_untrusted() || right.is_untrusted();
        match binary.op {
            ast::BinOpKind::Eq
            | ast::BinOpKind::Ne
            | ast::BinOpKind::Lt
            | ast::BinOpKind::Lte
            | ast::BinOpKind::Gt
            | ast::BinOpKind::Gte
            | ast::BinOpKind::In => Type::Boolean,
            ast::BinOpKind::ScAnd | ast::BinOpKind::ScOr => left.or(&right),
            ast::BinOpKind::Concat => Type::Text { untrusted },
            // Text and lists can be added and repeated too.
            ast::BinOpKind::Add | ast::BinOpKind::Mul if left == Type::Number && right == Type::Number => Type::Number,
            ast::BinOpKind::Add | ast::BinOpKind::Mul => Type::Any { untrusted },
            ast::BinOpKind::Sub
            | ast::BinOpKind::Div
            | ast::BinOpKind::FloorDiv
            | ast::BinOpKind::Rem
            | ast::BinOpKind::Pow => Type::Number,
        }
    }

    /// A value that may be absent here, because what stands around it deals with that.
    fn maybe_absent(&mut self, expression: &ast::Expr<'_>) -> Type {
        match expression {
            ast::Expr::GetAttr(attribute) => self.attribute(attribute, expression, false),
            other => self.expression(other),
        }
    }

    fn name(&mut self, id: &str, span: Span) -> Type {
        if let Some(of) = self.local(id) {
            return of;
        }
        match id {
            "input" => self.scope.input.clone(),
            "params" => self.scope.params.clone(),
            "steps" => {
                self.problems
                    .add(self.at(span), "`steps` as a whole", "name the step: steps.<id>");
                Type::ANY
            }
            unknown => {
                let known: Vec<&str> = self
                    .locals
                    .iter()
                    .flat_map(BTreeMap::keys)
                    .map(String::as_str)
                    .chain(ROOTS)
                    .collect();
                self.problems
                    .add_unknown(self.at(span), format!("there is no `{unknown}`"), unknown, known);
                Type::ANY
            }
        }
    }

    fn local(&self, id: &str) -> Option<Type> {
        self.locals.iter().rev().find_map(|bound| bound.get(id)).cloned()
    }

    fn attribute(&mut self, attribute: &ast::GetAttr<'_>, whole: &ast::Expr<'_>, must_exist: bool) -> Type {
        if let ast::Expr::Var(var) = &attribute.expr
            && var.id == "steps"
            && self.local("steps").is_none()
        {
            // A step that does not exist was reported when the order of the steps was found.
            return self.scope.steps.get(attribute.name).cloned().unwrap_or(Type::ANY);
        }
        let owner = self.expression(&attribute.expr);
        self.field(&owner, attribute.name, whole, must_exist)
    }

    fn item(&mut self, item: &ast::GetItem<'_>, whole: &ast::Expr<'_>) -> Type {
        let owner = self.expression(&item.expr);
        if let ast::Expr::Const(constant) = &item.subscript_expr
            && let Some(name) = constant.value.as_str()
        {
            return self.field(&owner, name, whole, true);
        }
        self.expression(&item.subscript_expr);
        match owner {
            Type::List(of) => *of,
            other => Type::Any {
                untrusted: other.is_untrusted(),
            },
        }
    }

    fn field(&mut self, owner: &Type, name: &str, whole: &ast::Expr<'_>, must_exist: bool) -> Type {
        let path = path(whole).unwrap_or_else(|| name.to_owned());
        match owner {
            Type::Any { untrusted } => Type::Any { untrusted: *untrusted },
            Type::Object { fields, open } => match fields.get(name) {
                Some(Field { optional: true, .. }) if must_exist && !self.defined.contains(&path) => {
                    let help =
                        format!("give it a value for then: `{path} | default(\"…\")`, or put it into `required`");
                    self.problems
                        .add(self.at(whole.span()), format!("`{path}` may be absent"), help);
                    Type::ANY
                }
                Some(field) => field.of.clone(),
                None if *open => Type::Any {
                    untrusted: owner.is_untrusted(),
                },
                None => {
                    let known = fields.keys().map(String::as_str);
                    self.problems
                        .add_unknown(self.at(whole.span()), format!("there is no `{path}`"), name, known);
                    Type::ANY
                }
            },
            Type::Null | Type::Text { .. } | Type::Number | Type::Boolean | Type::List(_) => {
                let message = format!("there is no `{path}`: `.{name}` is asked of {}", owner.describe());
                self.problem(whole.span(), message);
                Type::ANY
            }
        }
    }

    fn filter(&mut self, filter: &ast::Filter<'_>, block: Option<Type>) -> Type {
        if !template::has_filter(filter.name) {
            self.problem_at_name(filter.name, "there is no filter");
        }
        let defaults = matches!(filter.name, "default" | "d");
        let value = match &filter.expr {
            Some(value) if defaults => self.maybe_absent(value),
            Some(value) => self.expression(value),
            None => block.unwrap_or(Type::ANY),
        };
        let arguments = self.arguments(&filter.args);
        let untrusted = value.is_untrusted() || arguments.as_ref().is_some_and(Type::is_untrusted);
        match filter.name {
            "default" | "d" => arguments.map_or(value.clone(), |instead| value.or(&instead)),
            "length" | "count" | "int" | "float" | "round" | "abs" => Type::Number,
            "bool" => Type::Boolean,
            "upper" | "lower" | "title" | "capitalize" | "trim" | "replace" | "join" | "string" | "tojson"
            | "indent" | "escape" | "e" | "safe" | "format" | "pprint" => Type::Text { untrusted },
            "first" | "last" | "min" | "max" => match value {
                Type::List(of) => *of,
                _ => Type::Any { untrusted },
            },
            "sort" | "reverse" | "unique" | "list" if matches!(value, Type::List(_)) => value,
            "split" | "lines" => Type::list(Type::Text { untrusted }),
            _ => Type::Any { untrusted },
        }
    }

    /// A filter that is written apart from what it filters.
    fn filtered(&mut self, filter: &ast::Expr<'_>, value: Type) -> Type {
        match filter {
            ast::Expr::Filter(filter) => match &filter.expr {
                Some(inner) => {
                    let value = self.filtered(inner, value);
                    self.filter(filter, Some(value))
                }
                None => self.filter(filter, Some(value)),
            },
            _ => value,
        }
    }

    fn test(&mut self, test: &ast::Test<'_>) {
        if !template::has_test(test.name) {
            self.problem_at_name(test.name, "there is no test");
        }
        match test.name {
            "defined" | "undefined" => self.maybe_absent(&test.expr),
            _ => self.expression(&test.expr),
        };
        self.arguments(&test.args);
    }

    fn call(&mut self, call: &ast::Call<'_>) -> Type {
        let arguments = self.arguments(&call.args);
        let untrusted = arguments.is_some_and(|of| of.is_untrusted());
        match &call.expr {
            ast::Expr::Var(var) => {
                let functions = template::functions();
                if !functions.iter().any(|name| name == var.id) {
                    let message = format!("there is no function `{}`", var.id);
                    let known = functions.iter().map(String::as_str);
                    self.problems.add_unknown(self.at(var.span()), message, var.id, known);
                }
                match var.id {
                    "range" => Type::list(Type::Number),
                    _ => Type::Any { untrusted },
                }
            }
            ast::Expr::GetAttr(attribute) if matches!(&attribute.expr, ast::Expr::Var(var) if var.id == "loop") => {
                Type::ANY
            }
            other => {
                let help = "values have no methods: use a filter, as in `{{ input.name | upper }}`";
                self.problems.add(self.at(other.span()), "this cannot be called", help);
                Type::ANY
            }
        }
    }

    /// The type of all arguments together; `None` without any.
    fn arguments(&mut self, arguments: &[ast::CallArg<'_>]) -> Option<Type> {
        let each = arguments.iter().map(|argument| match argument {
            ast::CallArg::Pos(value)
            | ast::CallArg::Kwarg(_, value)
            | ast::CallArg::PosSplat(value)
            | ast::CallArg::KwargSplat(value) => self.expression(value),
        });
        each.reduce(|one, other| one.or(&other))
    }

    fn check_sink(&mut self, of: &Type, span: Span) {
        if let Some(sink) = self.sink
            && of.is_untrusted()
        {
            let help = "put it into a user message, or say `allow_untrusted: true` if it cannot do harm there";
            self.problems
                .add(self.at(span), format!("untrusted text in {sink}"), help);
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

    fn at(&self, span: Span) -> super::problem::Position {
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

/// The paths that exist when this condition is true.
fn vouched(condition: &ast::Expr<'_>, paths: &mut Vec<String>) {
    match condition {
        ast::Expr::Test(test) if test.name == "defined" => paths.extend(path(&test.expr)),
        ast::Expr::BinOp(binary) if matches!(binary.op, ast::BinOpKind::ScAnd) => {
            vouched(&binary.left, paths);
            vouched(&binary.right, paths);
        }
        _ => {}
    }
}

/// `a.b.c` as it is written, if the expression is one.
fn path(expression: &ast::Expr<'_>) -> Option<String> {
    match expression {
        ast::Expr::Var(var) => Some(var.id.to_owned()),
        ast::Expr::GetAttr(attribute) => Some(format!("{}.{}", path(&attribute.expr)?, attribute.name)),
        _ => None,
    }
}

fn constant_type(value: &minijinja::Value) -> Type {
    match value.kind() {
        minijinja::value::ValueKind::String => Type::TEXT,
        minijinja::value::ValueKind::Number => Type::Number,
        minijinja::value::ValueKind::Bool => Type::Boolean,
        minijinja::value::ValueKind::None => Type::Null,
        _ => Type::ANY,
    }
}
