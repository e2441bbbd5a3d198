---
title:
  vi: Trung bình giờ các khí
  en: Hourly means of gases
words:
  vi: >-
    Trung bình các giá trị hợp lệ trong giờ của SO₂, CO, NO₂, O₃ tại trạm, so với giá trị giới hạn trung
    bình 1 giờ. Giờ gọi theo lúc kết thúc.
  en: >-
    The mean of the hour's valid values of SO₂, CO, NO₂ and O₃ at a station, against the 1-hour limits.
    An hour is named by its end.
source: QCVN 05:2023/BTNMT (Thông tư 01/2023/TT-BTNMT)
inputs:
  air_quality: [so2, co, no2, o3]
key: [station]
period: {grain: hour, zone: Asia/Ho_Chi_Minh}
freshness: PT3H
better: lower
outputs:
  so2_1h: {title: {vi: SO₂ trung bình 1 giờ, en: 1-hour mean of SO₂}, unit: µg/m³, decimals: 1}
  co_1h: {title: {vi: CO trung bình 1 giờ, en: 1-hour mean of CO}, unit: µg/m³, decimals: 0}
  no2_1h: {title: {vi: NO₂ trung bình 1 giờ, en: 1-hour mean of NO₂}, unit: µg/m³, decimals: 1}
  o3_1h: {title: {vi: O₃ trung bình 1 giờ, en: 1-hour mean of O₃}, unit: µg/m³, decimals: 1}
thresholds:
  - output: so2_1h
    above: 350
    valid: {from: 2023-09-12}
    severity: warning
    title: {vi: SO₂ 1 giờ vượt giá trị giới hạn, en: SO₂ over the 1-hour limit}
    source: QCVN 05:2023/BTNMT, SO₂ trung bình 1 giờ 350 µg/Nm³
  - output: co_1h
    above: 30000
    valid: {from: 2023-09-12}
    severity: warning
    title: {vi: CO 1 giờ vượt giá trị giới hạn, en: CO over the 1-hour limit}
    source: QCVN 05:2023/BTNMT, CO trung bình 1 giờ 30.000 µg/Nm³
  - output: no2_1h
    above: 200
    valid: {from: 2023-09-12}
    severity: warning
    title: {vi: NO₂ 1 giờ vượt giá trị giới hạn, en: NO₂ over the 1-hour limit}
    source: QCVN 05:2023/BTNMT, NO₂ trung bình 1 giờ 200 µg/Nm³
  - output: o3_1h
    above: 200
    valid: {from: 2023-09-12}
    severity: warning
    title: {vi: O₃ 1 giờ vượt giá trị giới hạn, en: O₃ over the 1-hour limit}
    source: QCVN 05:2023/BTNMT, O₃ trung bình 1 giờ 200 µg/Nm³
    verify: true
---
SELECT station, hour AS time,
       avg(CASE WHEN parameter = 'so2' THEN value END) AS so2_1h,
       avg(CASE WHEN parameter = 'co' THEN value END) AS co_1h,
       avg(CASE WHEN parameter = 'no2' THEN value END) AS no2_1h,
       avg(CASE WHEN parameter = 'o3' THEN value END) AS o3_1h
FROM air_quality
WHERE usable
GROUP BY station, hour
