---
title:
  vi: Rác thải sinh hoạt bình quân một người mỗi ngày
  en: Household waste per person and day
words:
  vi: >-
    Khối lượng rác thải sinh hoạt phát sinh trong tháng của một xã, phường, đặc khu chia cho dân số
    bình quân trong tháng và cho số ngày của tháng. Của nhiều đơn vị: cộng khối lượng, cộng số
    người-ngày rồi mới chia; không cộng và không lấy trung bình cộng các tỷ lệ.
  en: >-
    The household waste generated in a commune in a month, divided by its mean population of the month
    and by the days of the month. Of several communes the amounts and the person-days are added first
    and then divided; rates are neither added nor averaged.
source: Báo cáo tháng của Ủy ban nhân dân cấp xã (biểu “Rác thải sinh hoạt”)
inputs:
  household_waste: [generated_t, population]
key: [agency]
period: {grain: month, zone: Asia/Ho_Chi_Minh}
freshness: P45D
better: lower
outputs:
  per_person_kg:
    title: {vi: Rác thải sinh hoạt một người mỗi ngày, en: Household waste per person and day}
    unit: kg
    decimals: 2
    over_units: {mean: person_days}
  generated_t:
    title: {vi: Khối lượng phát sinh, en: Generated}
    unit: t
    decimals: 1
    over_units: sum
    better: none
  person_days:
    title: {vi: Số người-ngày, en: Person-days}
    unit: "1"
    decimals: 0
    over_units: sum
    better: none
verify:
  vi: >-
    Cách tính dân số bình quân trong tháng và thời hạn báo cáo do tỉnh quy định; phần mềm chưa có văn
    bản xác nhận.
  en: >-
    How the mean population of a month is counted, and when it has to be reported, is for the province
    to say; no document has confirmed it here.
---
SELECT agency, month AS time,
       1000 * generated_t / (people * days) AS per_person_kg,
       generated_t, people * days AS person_days
FROM (
  SELECT agency, month, max(period_days) AS days,
         max(CASE WHEN parameter = 'generated_t' THEN value END) AS generated_t,
         max(CASE WHEN parameter = 'population' THEN value END) AS people
  FROM household_waste
  WHERE usable
  GROUP BY agency, month
)
WHERE people > 0 AND generated_t IS NOT NULL
