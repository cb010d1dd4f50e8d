//! The type of an expression.

use minijinja::machinery::ast;

use super::{
    Typing,
    name::{is_nullable, path},
};
use crate::chain::types::Type;

impl Typing<'_> {
    pub(super) fn expression(&mut self, expression: &ast::Expr<'_>) -> Type {
        match expression {
            ast::Expr::Var(var) => self.name(var.id, var.span(), true),
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
            ast::Expr::BinOp(binary) => match self.dashed(expression) {
                Some((owner, name)) => {
                    let message = format!("`{owner}.{name}` is a subtraction, of something that is not there");
                    let help = format!("a name with a dash is written `{owner}['{name}']`");
                    self.problems.add(self.at(binary.span()), message, help);
                    Type::ANY
                }
                None => self.binary(binary),
            },
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
                let items = list
                    .items
                    .iter()
                    .map(|item| self.expression(item))
                    .reduce(|one, other| one.or(&other));
                Type::list(items.unwrap_or(Type::ANY))
            }
            ast::Expr::Map(map) => {
                for key in &map.keys {
                    self.expression(key);
                }
                let values = map
                    .values
                    .iter()
                    .map(|value| self.expression(value))
                    .reduce(|one, other| one.or(&other));
                Type::Any {
                    untrusted: values.is_some_and(|of| of.is_untrusted()),
                }
            }
        }
    }

    /// An expression that is only asked whether it is true.
    pub(super) fn condition(&mut self, expression: &ast::Expr<'_>) {
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
        match path(expression) {
            Some(path) if is_nullable(&path) => self.maybe_absent(expression),
            _ => self.expression(expression),
        };
    }

    /// A name with a dash is read as a subtraction of something that is not there.
    fn dashed(&self, expression: &ast::Expr<'_>) -> Option<(String, String)> {
        let ast::Expr::BinOp(binary) = expression else {
            return None;
        };
        let (ast::BinOpKind::Sub, ast::Expr::Var(var)) = (binary.op, &binary.right) else {
            return None;
        };
        if var.id == "steps" || self.local(var.id).is_some() || self.scope.names.contains_key(var.id) {
            return None;
        }
        let (owner, name) = match &binary.left {
            ast::Expr::GetAttr(attribute) => (path(&attribute.expr)?, attribute.name.to_owned()),
            left => self.dashed(left)?,
        };
        Some((owner, format!("{name}-{}", var.id)))
    }

    pub(super) fn binary(&mut self, binary: &ast::BinOp<'_>) -> Type {
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
}

/// The paths that exist, and are not null, when this condition is true.
pub(super) fn vouched(condition: &ast::Expr<'_>, paths: &mut Vec<String>) {
    match condition {
        // A step that was skipped is defined: it is null.
        ast::Expr::Test(test) if test.name == "defined" => {
            paths.extend(path(&test.expr).filter(|path| !is_nullable(path)));
        }
        ast::Expr::UnaryOp(unary) if matches!(unary.op, ast::UnaryOpKind::Not) => {
            if let ast::Expr::Test(test) = &unary.expr
                && test.name == "none"
            {
                paths.extend(path(&test.expr));
            }
        }
        ast::Expr::Var(_) | ast::Expr::GetAttr(_) => paths.extend(path(condition).filter(|path| is_nullable(path))),
        ast::Expr::BinOp(binary) if matches!(binary.op, ast::BinOpKind::ScAnd) => {
            vouched(&binary.left, paths);
            vouched(&binary.right, paths);
        }
        _ => {}
    }
}

fn constant_type(value: &minijinja::Value) -> Type {
    match value.kind() {
        // It stands in the file: one of a closed set of one.
        minijinja::value::ValueKind::String => Type::Choice(value.as_str().map(str::to_owned).into_iter().collect()),
        minijinja::value::ValueKind::Number => Type::Number,
        minijinja::value::ValueKind::Bool => Type::Boolean,
        minijinja::value::ValueKind::None => Type::Null,
        _ => Type::ANY,
    }
}
