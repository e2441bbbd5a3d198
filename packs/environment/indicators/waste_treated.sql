---
title:
  vi: Tỷ lệ rác thải còn lại sau xử lý, theo hình thức (minh họa)
  en: Share of household waste left after treatment, by way (illustrative)
words:
  vi: >-
    Khối lượng rác thải sinh hoạt được xử lý trong tháng theo từng hình thức, và phần còn lại phải chôn
    lấp sau xử lý. Tỷ lệ còn lại chỉ tính cho hình thức có khai khối lượng còn lại.
  en: >-
    The household waste treated in a month in each way, and what is left of it for landfill. The share
    that is left is computed only where that amount was reported.
source: Biểu minh họa “Xử lý rác thải sinh hoạt theo hình thức”
inputs:
  waste_treatment: [treated_t, residue_t]
key: [agency, treatment]
period: {grain: month, zone: Asia/Ho_Chi_Minh}
freshness: P45D
better: lower
outputs:
  residue_share:
    title: {vi: Tỷ lệ còn lại sau xử lý, en: Share left after treatment}
    unit: "%"
    decimals: 1
    over_units: {mean: treated_t}
  treated_t:
    title: {vi: Khối lượng xử lý, en: Amount treated}
    unit: t
    decimals: 1
    over_units: sum
    over_time: sum
    better: none
  residue_t:
    title: {vi: Khối lượng còn lại phải chôn lấp, en: Residue that goes to landfill}
    unit: t
    decimals: 1
    over_units: sum
    over_time: sum
    better: lower
verify:
  vi: Danh mục hình thức xử lý là minh họa, phần mềm chưa đối chiếu với biểu mẫu chính thức.
  en: The list of ways is illustrative; it has not been compared with an official form.
---
SELECT agency, treatment, month AS time,
       CASE WHEN treated_t > 0 THEN 100 * residue_t / treated_t END AS residue_share,
       treated_t, residue_t
FROM (
  SELECT agency, treatment, month,
         max(CASE WHEN parameter = 'treated_t' THEN value END) AS treated_t,
         max(CASE WHEN parameter = 'residue_t' THEN value END) AS residue_t
  FROM waste_treatment
  WHERE usable
  GROUP BY agency, treatment, month
)
WHERE treated_t IS NOT NULL
