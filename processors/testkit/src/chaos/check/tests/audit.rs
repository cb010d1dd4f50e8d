use super::finds;
use crate::chaos::check::Check;

#[test]
fn each_result_has_its_audit() {
    finds(&[(Check::AuditMissing, 1), (Check::Postgres, 1)], |evidence| {
        evidence.logs.audit.remove(0);
    });
    // Without its audit row the attempt itself is unsettled too.
    let attempt = [(Check::AuditMissing, 1), (Check::Postgres, 1), (Check::Attempt, 1)];
    finds(&attempt, |evidence| {
        evidence.logs.audit.remove(8);
    });
    finds(&[(Check::Audit, 1)], |evidence| evidence.logs.audit[0].turn = 1);
    finds(&[(Check::Audit, 1)], |evidence| evidence.logs.audit[0].cost = 1);
    finds(&[(Check::Audit, 1)], |evidence| evidence.logs.audit[1].cost = 1);
    let twice = [(Check::Duplicate, 2), (Check::Audit, 1), (Check::Postgres, 2)];
    finds(&twice, |evidence| {
        for place in [0, 1] {
            let mut again = evidence.logs.audit[place].clone();
            again.offset += 50;
            evidence.logs.audit.push(again);
        }
    });
}
