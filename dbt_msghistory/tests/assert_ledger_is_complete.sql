-- Days on which the warehouse has fewer messages than the ledger counted at the vendor.
select * from {{ ref('daily_completeness') }} where missing > 0
