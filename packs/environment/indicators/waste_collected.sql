---
title:
  vi: Tỷ lệ rác thải sinh hoạt được thu gom
  en: Share of household waste collected
words:
  vi: >-
    Khối lượng rác thải sinh hoạt thu gom được trong tháng chia cho khối lượng phát sinh (ước tính)
    cùng tháng. Của nhiều đơn vị: cộng hai khối lượng rồi mới chia.
  en: >-
    The household waste collected in a month, divided by what was generated (estimated) in that month.
    Of several communes both amounts are added first and then divided.
source: Báo cáo tháng của Ủy ban nhân dân cấp xã (biểu “Rác thải sinh hoạt”)
inputs:
  household_waste: [collected_t, generated_t]
key: [agency]
period: {grain: month, zone: Asia/Ho_Chi_Minh}
freshness: P45D
better: higher
outputs:
  collected_share:
    title: {vi: Tỷ lệ rác thải sinh hoạt được thu gom, en: Share of household waste collected}
    unit: "%"
    decimals: 1
    over_units: {mean: generated_t}
  collected_t:
    title: {vi: Khối lượng thu gom, en: Collected}
    unit: t
    decimals: 1
    over_units: sum
    over_time: sum
    better: none
  generated_t:
    title: {vi: Khối lượng phát sinh, en: Generated}
    unit: t
    decimals: 1
    over_units: sum
    over_time: sum
    better: none
verify:
  vi: >-
    Khối lượng phát sinh là số ước tính của xã; cách ước tính do tỉnh quy định, phần mềm chưa có văn
    bản xác nhận.
  en: >-
    What was generated is the commune's own estimate; how it is estimated is for the province to say,
    no document has confirmed it here.
---
SELECT agency, month AS time, 100 * collected_t / generated_t AS collected_share,
       collected_t, generated_t
FROM (
  SELECT agency, month,
         max(CASE WHEN parameter = 'collected_t' THEN value END) AS collected_t,
         max(CASE WHEN parameter = 'generated_t' THEN value END) AS generated_t
  FROM household_waste
  WHERE usable
  GROUP BY agency, month
)
WHERE generated_t > 0 AND collected_t IS NOT NULL
